//! Whom others imitate.

use std::collections::{HashMap, HashSet};

use crate::message::fold;

/// What is known of houses, and of mail services for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Names of houses, folded, with the registered domains that are theirs; sorted.
    pub(super) brands: Vec<(String, Vec<String>)>,
    /// Their places by the first words of their names.
    first_words: HashMap<String, Vec<usize>>,
    /// The first labels of domains that are imitated, with those domains.
    pub(super) protected: HashMap<String, Vec<String>>,
    /// Registered domains where everybody can have an address.
    pub(super) freemail: HashSet<String>,
}

/// Shorter labels have neighbours by chance.
const SHORTEST: usize = 6;

impl Settings {
    /// From names of houses with their domains, further domains that are imitated, and freemail domains.
    pub fn new<'s>(
        brands: impl IntoIterator<Item = (&'s str, Vec<String>)>,
        protected: impl IntoIterator<Item = &'s str>,
        freemail: impl IntoIterator<Item = &'s str>,
    ) -> Self {
        let mut settings = Self::default();
        for (name, domains) in brands {
            for domain in &domains {
                settings.protect(domain);
            }
            settings.brands.push((folded(name), domains));
        }
        protected.into_iter().for_each(|domain| settings.protect(domain));
        settings.freemail.extend(freemail.into_iter().map(str::to_lowercase));
        settings.brands.sort();
        for (place, (name, _)) in settings.brands.iter().enumerate() {
            let first = name.split(' ').next().unwrap_or_default();
            settings.first_words.entry(first.to_owned()).or_default().push(place);
        }
        settings
    }

    fn protect(&mut self, domain: &str) {
        let label = domain.split_once('.').map(|(label, _)| label);
        if let Some(label) = label.filter(|label| label.len() >= SHORTEST && !label.contains('*')) {
            self.protected.entry(label.to_owned()).or_default().push(domain.to_owned());
        }
    }

    /// The houses that a text names, in whatever letters, as whole words.
    pub(super) fn named<'s>(&'s self, text: &str) -> impl Iterator<Item = &'s (String, Vec<String>)> {
        let text = format!(" {} ", folded(text));
        // `P.a.y P-a-l`: letters that stand alone belong together.
        let joined = joined(&text);
        let begun = text.split(' ').chain(joined.split(' ')).filter_map(|word| self.first_words.get(word)).flatten();
        let mut places: Vec<usize> = begun.copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.brands.get(place)).filter(move |(name, _)| {
            let word = format!(" {name} ");
            text.contains(&word) || joined.contains(&word)
        })
    }

    /// True if the name of a house begins with this word.
    pub(super) fn begins_name(&self, word: &str) -> bool {
        self.first_words.contains_key(word)
    }
}

/// Letters for what looks like them, in lower case; what is no letter, figure or `&` is one space.
pub(super) fn folded(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for letter in text.chars().filter_map(fold) {
        if letter.is_alphanumeric() || letter == '&' {
            words.push(letter);
        } else if !words.ends_with(' ') && letter != '\'' {
            words.push(' ');
        }
    }
    words.trim().to_owned()
}

fn joined(text: &str) -> String {
    let mut joined = String::from(" ");
    let mut last_was_letter = false;
    for word in text.split_whitespace() {
        let is_letter = word.chars().nth(1).is_none();
        if !(is_letter && last_was_letter || joined.ends_with(' ')) {
            joined.push(' ');
        }
        joined.push_str(word);
        last_was_letter = is_letter;
    }
    joined.push(' ');
    joined
}
