//! What judges: the files in `rules/`, or the ones compiled in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::files::Files;
use super::problem::Report;
use super::spamassassin::Imported;
use super::{Config, Content, Document, Problems, Source, judging, raw, shape};
use crate::checks::dnsbl::Lists;
use crate::checks::site::Site;
use crate::checks::{greylist, reputation};
use crate::clock::{self, Clock};
use crate::dns::{Lookup, fixed::FixedDns};
use crate::pipeline::Ruleset;
use crate::records::Looks;
use crate::store::Store;

/// What checks reach beyond the message: the world, and our memory.
#[derive(Clone)]
pub struct Ports {
    /// Names.
    pub dns: Arc<dyn Lookup>,
    /// What we remember; `None`: nothing.
    pub store: Option<Arc<dyn Store>>,
    /// What the classifier was taught, if that is not for `store` to say.
    pub taught: Option<Arc<dyn Store>>,
    /// The health of DNS lists, which outlives the rules that ask them.
    pub lists: Arc<Lists>,
    /// True if messages are to be remembered for DMARC reports.
    pub dmarc_reports: bool,
    /// When something happens for which no transaction says it.
    pub clock: Arc<dyn Clock>,
}

/// The files as written. Whether they make sense together, [`load`] says.
#[derive(Clone, Debug)]
pub struct Rules {
    /// weights.toml.
    pub weights: (raw::rules::WeightsFile, Document),
    /// lists.toml.
    pub lists: (raw::rules::ListsFile, Document),
    /// policy.toml.
    pub policy: (raw::rules::PolicyFile, Document),
    /// outgoing.toml: the policy for mail that leaves.
    pub outgoing: (raw::rules::PolicyFile, Document),
    /// authentication.toml.
    pub authentication: (raw::rules::AuthenticationFile, Document),
    /// trust.toml.
    pub trust: (raw::rules::TrustFile, Document),
    /// greylist.toml.
    pub greylist: (raw::rules::GreylistFile, Document),
    /// rates.toml.
    pub rates: (raw::rules::RatesFile, Document),
    /// reputation.toml.
    pub reputation: (raw::rules::ReputationFile, Document),
    /// traps.toml.
    pub traps: (raw::rules::TrapsFile, Document),
    /// bulk.toml.
    pub bulk: (raw::rules::BulkFile, Document),
    /// classifier.toml.
    pub classifier: (raw::rules::ClassifierFile, Document),
    /// spamassassin.toml.
    pub spamassassin: (raw::rules::SpamAssassinFile, Document),
    /// The rules that it names.
    pub imported: Imported,
    /// deception.toml.
    pub deception: (raw::rules::DeceptionFile, Document),
    /// The rule files.
    pub content: Content,
    /// Files that they name outside of their directory.
    pub outside: Vec<PathBuf>,
    /// A digest of all.
    pub version: Arc<str>,
    /// One of each file that says what is looked for, not what it weighs and what comes of it.
    pub looks: Arc<Looks>,
}

const COMPILED_IN: [(&str, &str); 14] = [
    ("weights.toml", include_str!("../../rules/weights.toml")),
    ("lists.toml", include_str!("../../rules/lists.toml")),
    ("policy.toml", include_str!("../../rules/policy.toml")),
    ("authentication.toml", include_str!("../../rules/authentication.toml")),
    ("trust.toml", include_str!("../../rules/trust.toml")),
    ("greylist.toml", include_str!("../../rules/greylist.toml")),
    ("rates.toml", include_str!("../../rules/rates.toml")),
    ("reputation.toml", include_str!("../../rules/reputation.toml")),
    ("traps.toml", include_str!("../../rules/traps.toml")),
    ("bulk.toml", include_str!("../../rules/bulk.toml")),
    ("classifier.toml", include_str!("../../rules/classifier.toml")),
    ("spamassassin.toml", include_str!("../../rules/spamassassin.toml")),
    ("deception.toml", include_str!("../../rules/deception.toml")),
    ("outgoing.toml", include_str!("../../rules/outgoing.toml")),
];

/// The names of files that are no rule files.
pub(super) const FIXED: [&str; COMPILED_IN.len()] = {
    let mut names = [""; COMPILED_IN.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = COMPILED_IN[at].0;
        at += 1;
    }
    names
};

/// These may be absent from a directory of rules; each of their keys has a default.
const OPTIONAL: [&str; 11] = [
    "authentication.toml",
    "trust.toml",
    "greylist.toml",
    "rates.toml",
    "reputation.toml",
    "traps.toml",
    "bulk.toml",
    "classifier.toml",
    "spamassassin.toml",
    "deception.toml",
    "outgoing.toml",
];

/// These say what is made of what was found. Whatever they say, records can be decided again.
const WEIGHING: [&str; 3] = ["weights.toml", "policy.toml", "outgoing.toml"];

/// Makes a rule set: checks that use `ports`, weights, policy. With `checks.enabled = false` no check
/// is in it. What loaded as a [`Config`] loads here too.
pub fn load(config: &Config, ports: &Ports) -> Result<Ruleset, Problems> {
    let mut problems = Problems::default();
    let rules =
        judging::build(&config.rules, config.checks.enabled, &config.own_names, &site(config), ports, &mut problems);
    problems.guard(rules).map(|(rules, _warnings)| rules)
}

/// The rule set compiled in.
pub fn compiled_in(ports: &Ports) -> Result<Ruleset, Problems> {
    let mut problems = Problems::default();
    let rules = Rules::compiled_in(&mut problems);
    let rules = rules.and_then(|rules| judging::build(&rules, true, &[], &Arc::default(), ports, &mut problems));
    problems.guard(rules).map(|(rules, _warnings)| rules)
}

/// The rule set of rules alone, without a configuration.
pub fn of(rules: &Rules, ports: &Ports) -> Result<Ruleset, Problems> {
    let mut problems = Problems::default();
    let rules = judging::build(rules, true, &[], &Arc::default(), ports, &mut problems);
    problems.guard(rules).map(|(rules, _warnings)| rules)
}

/// The settings of greylisting, of rules that were checked.
pub fn greylist(rules: &Rules) -> greylist::Settings {
    let mut problems = Problems::default();
    judging::greylist::settings(&rules.greylist.0, &mut Report { document: &rules.greylist.1, problems: &mut problems })
}

/// The settings of reputation, of rules that were checked.
pub fn reputation(rules: &Rules) -> reputation::Settings {
    judging::reputation::settings(rules, &mut Problems::default())
}

/// Whether the rules make sense together.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    judging::build(&config.rules, true, &config.own_names, &site(config), &Ports::silent(), problems);
}

/// What is ours, for the checks that defend it.
fn site(config: &Config) -> Arc<Site> {
    let relay = &config.session.relay;
    Arc::new(Site { domains: relay.domains.clone(), networks: relay.networks.clone() })
}

impl Ports {
    /// No question is ever asked, nothing remembered: to see whether rules make sense, and what they could say.
    pub fn silent() -> Self {
        Self::with_dns(Arc::new(FixedDns::new()))
    }

    /// Asks `dns`, remembers nothing.
    pub fn with_dns(dns: Arc<dyn Lookup>) -> Self {
        Self { dns, store: None, taught: None, lists: Arc::default(), dmarc_reports: false, clock: clock::system() }
    }
}

impl Ports {
    /// What the classifier was taught.
    pub fn taught(&self) -> Option<&Arc<dyn Store>> {
        self.taught.as_ref().or(self.store.as_ref())
    }
}

impl Rules {
    /// The rules compiled in.
    pub fn compiled_in(problems: &mut Problems) -> Option<Self> {
        let files = COMPILED_IN.map(|(name, text)| Source::new(format!("rules/{name} (compiled in)"), text));
        let content = Content::compiled_in(problems);
        Self::parse(&files, content, problems)
    }

    /// The same with another text in place of weights.toml.
    pub fn with_weights(&self, text: &str, problems: &mut Problems) -> Option<Self> {
        let weights = Source::new(self.weights.1.source.path.clone(), text);
        Some(Self { weights: shape::read(&weights, problems)?, ..self.clone() })
    }

    /// Reads a directory of rules.
    pub fn of_directory(directory: &Path, problems: &mut Problems) -> Option<Self> {
        let source = Source::new(directory.display().to_string(), "");
        let (mut raw, document) = shape::read::<raw::File>(&source, &mut Problems::default())?;
        raw.rules.directory = Some(directory.display().to_string());
        Self::read(&raw, &mut Files::beside(Path::new("rules")), &mut Report { document: &document, problems })
    }

    /// Reads what `[rules]` names.
    pub(super) fn read(file: &raw::File, files: &mut Files, report: &mut Report<'_>) -> Option<Self> {
        let Some(directory) = file.rules.directory.as_ref().filter(|_| files.are_read()) else {
            return Self::compiled_in(report.problems);
        };
        let directory = files.resolve_rules(directory);
        let mut sources = Vec::with_capacity(COMPILED_IN.len());
        for (name, _) in COMPILED_IN {
            let path = directory.join(name);
            let text = if OPTIONAL.contains(&name) && !path.exists() {
                files.miss(&path);
                Some(String::new())
            } else {
                report.take("rules.directory", files.read(&path))
            };
            sources.extend(text.map(|text| Source::new(path.display().to_string(), text)));
        }
        let content = Content::read(&directory, &FIXED, files, report);
        let mut rules = Self::parse(&sources.try_into().ok()?, content, report.problems)?;
        rules.imported = Imported::read(&directory, &rules.spamassassin, files, report.problems);
        let version = rules.imported.version(rules.version.clone());
        if version != rules.version {
            let imported = ("what spamassassin.toml names".to_owned(), xxh3_64(version.as_bytes()));
            rules.looks =
                Arc::new(rules.looks.iter().map(|(name, digest)| (name.clone(), *digest)).chain([imported]).collect());
        }
        rules.version = version;
        rules.outside = files.take_outside();
        Some(rules)
    }

    fn parse(files: &[Arc<Source>; COMPILED_IN.len()], content: Content, problems: &mut Problems) -> Option<Self> {
        let version = digest(files.iter().chain(content.sources()));
        let looks = Arc::new(looks(files.iter().chain(content.sources())));
        let [
            weights,
            lists,
            policy,
            authentication,
            trust,
            greylist,
            rates,
            reputation,
            traps,
            bulk,
            classifier,
            spamassassin,
            deception,
            outgoing,
        ] = files;
        let weights = shape::read(weights, problems);
        let lists = shape::read(lists, problems);
        let policy = shape::read(policy, problems);
        let authentication = shape::read(authentication, problems);
        let trust = shape::read(trust, problems);
        let greylist = shape::read(greylist, problems);
        let rates = shape::read(rates, problems);
        let reputation = shape::read(reputation, problems);
        let traps = shape::read(traps, problems);
        let bulk = shape::read(bulk, problems);
        let classifier = shape::read(classifier, problems);
        let spamassassin = shape::read(spamassassin, problems);
        let deception = shape::read(deception, problems);
        let outgoing = shape::read(outgoing, problems);
        Some(Self {
            weights: weights?,
            lists: lists?,
            policy: policy?,
            authentication: authentication?,
            trust: trust?,
            greylist: greylist?,
            rates: rates?,
            reputation: reputation?,
            traps: traps?,
            bulk: bulk?,
            classifier: classifier?,
            spamassassin: spamassassin?,
            imported: Imported::default(),
            deception: deception?,
            outgoing: outgoing?,
            content,
            outside: Vec::new(),
            version,
            looks,
        })
    }
}

fn looks<'f>(files: impl Iterator<Item = &'f Arc<Source>>) -> Looks {
    let named = files.map(|file| (Path::new(&file.path).file_name().unwrap_or_default().to_string_lossy(), file));
    let looking = named.filter(|(name, file)| !WEIGHING.contains(&&**name) && !file.text.is_empty());
    looking.map(|(name, file)| (name.into_owned(), xxh3_64(file.text.as_bytes()))).collect()
}

/// Names a rule set: sixteen hexadecimal digits.
fn digest<'f>(files: impl Iterator<Item = &'f Arc<Source>>) -> Arc<str> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for file in files {
        hash.update(&(file.text.len() as u64).to_le_bytes());
        hash.update(file.text.as_bytes());
    }
    format!("{:016x}", hash.digest()).into()
}
