//! What follows from a campaign for one more message of it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Settings;
use crate::similarity::Evidence;
use crate::store::Campaign;
use crate::units::Percent;

/// An unauthenticated campaign under one name, or under two, comes from so many times as many networks: it may
/// be a sender with several machines.
const ONE_NAME_FACTOR: u64 = 3;
/// So many times as many are needed where all copies have a List-Id.
const LIST_FACTOR: u64 = 3;
/// An aligned sender whose text a few others have sent too has sent so many copies for each of them.
const COPIES_PER_DOMAIN: u64 = 20;
/// Bulk mail that began so long ago has a history.
const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// Unknown recipients among those of legitimate bulk mail, in percent.
const UNKNOWN_PERCENT: u64 = 10;
/// From here on little text is the same text, in percent.
const SAME_LITTLE_TEXT: f32 = 90.0;
/// Words against a text with few words, or traps, that condemn it.
const AGAINST_LITTLE_TEXT: u64 = 2;

/// Who sends the message, as far as it was found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// A domain authenticates it.
    pub is_authenticated: bool,
    /// It is the author's.
    pub is_aligned: bool,
    /// It is aligned, and one of [`Settings::transactional`].
    pub is_transactional: bool,
    /// The message has List-Id.
    pub has_list_id: bool,
    /// It has links, and all of them lead to the author's own domain.
    pub links_home: bool,
}

/// What a message is, by its campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// Bulk mail of a sender who stands by it.
    Legitimate,
    /// Bulk mail of which nothing speaks for or against.
    Unknown,
    /// One text from everywhere.
    Campaign,
    /// Learned as spam, or sent to traps.
    Condemned,
    /// Learned as ham.
    Praised,
}

impl Judgement {
    /// The symbol that stands for it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Legitimate => "BULK_LEGITIMATE",
            Self::Unknown => "BULK_UNKNOWN",
            Self::Campaign => "CAMPAIGN",
            Self::Condemned => "CAMPAIGN_CONDEMNED",
            Self::Praised => "BULK_PRAISED",
        }
    }
}

/// What one more message of `campaign` is; `None` where there is nothing to say. `evidence` is how much it says
/// that two texts like this one are alike.
pub fn judge(
    settings: &Settings,
    campaign: &Campaign,
    sender: &Sender,
    evidence: Evidence,
    now: SystemTime,
) -> Option<Judgement> {
    let seen = Seen { settings, campaign, sender, evidence };
    let is_bulk = seen.copies() >= settings.copies;
    if sender.is_transactional {
        return is_bulk.then_some(Judgement::Legitimate);
    }
    if seen.is_condemned() {
        return Some(Judgement::Condemned);
    }
    if campaign.ham > campaign.spam && (sender.is_authenticated || campaign.authenticated == 0) {
        return Some(Judgement::Praised);
    }
    if seen.is_campaign() {
        return Some(Judgement::Campaign);
    }
    is_bulk.then(|| if seen.is_legitimate(now) { Judgement::Legitimate } else { Judgement::Unknown })
}

/// How much the weight of `judgement` counts: of a campaign that is seen by little, half.
pub fn strength(judgement: Judgement, campaign: &Campaign, evidence: Evidence) -> Percent {
    match judgement {
        Judgement::Campaign if campaign.by_attachment || evidence < Evidence::Strong => Percent::new(50),
        _ => Percent::FULL,
    }
}

/// The numbers, for the trace.
pub fn evidence(campaign: &Campaign) -> String {
    let Campaign { id, volume, networks, sender_domains, authenticated_domains, traps, spam, ham, .. } = campaign;
    let since = Timestamp::try_from(campaign.first).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    let since = since.strftime("%Y-%m-%d %H:%M");
    let authenticated = percent(campaign.authenticated, *volume);
    let mut text = format!(
        "{id}: {volume} copies from {networks} networks, {sender_domains} sender domains since {since} UTC, \
         {authenticated} % authenticated by {authenticated_domains}"
    );
    for (count, what) in [(*traps, "to traps"), ((*spam).into(), "learned as spam"), ((*ham).into(), "as ham")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    match campaign.by_attachment {
        true => text.push_str("; by an attachment"),
        false => text.push_str(&format!("; {:.0} % alike", campaign.similarity)),
    }
    text
}

struct Seen<'s> {
    settings: &'s Settings,
    campaign: &'s Campaign,
    sender: &'s Sender,
    evidence: Evidence,
}

impl Seen<'_> {
    /// Messages of which it is one; those that were deferred show as networks alone.
    fn copies(&self) -> u64 {
        self.campaign.volume.max(self.campaign.networks)
    }

    /// How much of it is authenticated, in percent. Of deferred messages nobody counted that.
    fn authenticated(&self) -> u64 {
        match self.campaign.volume {
            0 if self.campaign.authenticated_domains > 0 => 100,
            volume => percent(self.campaign.authenticated, volume),
        }
    }

    fn is_of_few(&self) -> bool {
        self.campaign.authenticated_domains <= self.settings.few_domains
    }

    /// True for unrelated senders of one text that is long enough to be no coincidence.
    fn is_campaign(&self) -> bool {
        let factor = match self.evidence {
            _ if self.campaign.by_attachment => self.settings.short_text_factor,
            Evidence::Strong => 1,
            // Programs that many sites use write the same few lines for each of them.
            Evidence::Fair if self.sender.links_home => return false,
            Evidence::Fair => self.settings.short_text_factor,
            // Login codes and receipts are alike whoever sends them.
            Evidence::Weak | Evidence::None => return false,
        };
        let campaign = self.campaign;
        // Whom a text was stolen from did not send it from everywhere.
        let is_mostly_of_one = campaign.authenticated_domains.saturating_mul(COPIES_PER_DOMAIN) <= campaign.volume;
        if self.sender.is_aligned && (self.is_of_few() || is_mostly_of_one) {
            return false;
        }
        if self.authenticated() >= 50 {
            return campaign.authenticated_domains >= self.settings.domains * factor;
        }
        let is_list = percent(campaign.with_list_id, campaign.volume) >= 90 && self.sender.has_list_id;
        match campaign.sender_domains {
            // Anybody can write a List-Id.
            0..=2 => {
                let list = if is_list { LIST_FACTOR } else { 1 };
                campaign.networks >= self.settings.networks * factor * ONE_NAME_FACTOR * list
            }
            _ => campaign.networks >= self.settings.networks * factor,
        }
    }

    /// True if somebody said that it is unwanted, and nothing speaks for this message.
    fn is_condemned(&self) -> bool {
        let campaign = self.campaign;
        let said = u64::from(campaign.spam.saturating_sub(campaign.ham));
        let against = said + campaign.traps;
        let is_fair = match self.evidence {
            // An attachment is exact, but what everybody attaches may be attached to spam.
            _ if campaign.by_attachment => !self.sender.is_aligned,
            Evidence::Strong | Evidence::Fair => true,
            Evidence::Weak => {
                !self.sender.is_aligned && against >= AGAINST_LITTLE_TEXT && campaign.similarity >= SAME_LITTLE_TEXT
            }
            Evidence::None => false,
        };
        // An honest list may have a recycled address or two. Anybody can send what somebody else has written to traps,
        // which must not be held against whom the text belongs to.
        let is_one_sender = self.sender.is_aligned && self.is_of_few();
        let may_be_honest = self.sender.is_authenticated || self.sender.has_list_id;
        let traps = if may_be_honest { self.settings.traps } else { 1 };
        let is_trapped = !is_one_sender && campaign.traps >= traps;
        is_fair && campaign.ham <= campaign.spam && (said > 0 || is_trapped)
    }

    fn is_legitimate(&self, now: SystemTime) -> bool {
        let campaign = self.campaign;
        let has_history = now.duration_since(campaign.first).is_ok_and(|age| age >= HISTORY);
        let is_wanted_by_form =
            self.sender.has_list_id || percent(campaign.with_unsubscribe, campaign.volume) >= 50 || has_history;
        let recipients = campaign.known_recipients + campaign.unknown_recipients;
        self.sender.is_authenticated
            && (self.sender.is_aligned || self.sender.has_list_id)
            && self.is_of_few()
            && self.authenticated() >= self.settings.authenticated_percent
            && is_wanted_by_form
            && campaign.traps == 0
            && campaign.spam == 0
            && percent(campaign.unknown_recipients, recipients) <= UNKNOWN_PERCENT
    }
}

fn percent(part: u64, of: u64) -> u64 {
    part.saturating_mul(100).checked_div(of).unwrap_or(0)
}

#[cfg(test)]
mod tests;
