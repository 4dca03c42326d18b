//! ESMTP parameters (RFC 5321 4.1.2: esmtp-param).

use std::fmt;

use super::CommandError;

/// ESMTP parameters of MAIL or RCPT, in order, unknown ones included (RFC 5321 4.1.1.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

/// Parameters of one command; all extensions together define fewer than twenty.
const MAX_PARAMS: usize = 64;

impl Params {
    /// Reads what follows the path: parameters with spaces between.
    pub(super) fn parse(text: &str) -> Result<Self, CommandError> {
        let mut params = Self::default();
        if !text.is_empty() && !text.starts_with(' ') {
            return Err(CommandError::Parameter);
        }
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let (keyword, value) = match word.split_once('=') {
                Some((keyword, value)) => (keyword, Some(value)),
                None => (word, None),
            };
            let well_formed = is_keyword(keyword) && value.is_none_or(is_value);
            if !well_formed || params.get(keyword).is_some() || params.0.len() == MAX_PARAMS {
                return Err(CommandError::Parameter);
            }
            params.push(keyword, value);
        }
        Ok(params)
    }

    /// The value of `keyword` (any case): `None` if absent, `Some(None)` if it has no value.
    pub fn get(&self, keyword: &str) -> Option<Option<&str>> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword)).map(|(_, value)| value.as_deref())
    }

    /// All of them, spelled as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `keyword` (any case) away; true if it was there.
    pub fn remove(&mut self, keyword: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(keyword));
        self.0.len() < before
    }

    /// Adds one at the end. Keyword and value are the caller's own or come from a parsed command.
    pub fn push(&mut self, keyword: &str, value: Option<&str>) {
        self.0.push((keyword.to_owned(), value.map(str::to_owned)));
    }

    /// The message size in octets that SIZE= declares (RFC 1870 6.1), if there is one.
    ///
    /// A number too large for us is as good as the largest: it is refused for its size, not its form.
    pub fn declared_size(&self) -> Result<Option<u64>, CommandError> {
        let Some(value) = self.get("SIZE") else { return Ok(None) };
        let digits = value.unwrap_or_default();
        if !(1..=20).contains(&digits.len()) || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(CommandError::Parameter);
        }
        Ok(Some(digits.parse().unwrap_or(u64::MAX)))
    }
}

impl<'a> FromIterator<(&'a str, Option<&'a str>)> for Params {
    fn from_iter<I: IntoIterator<Item = (&'a str, Option<&'a str>)>>(pairs: I) -> Self {
        let mut params = Self::default();
        pairs.into_iter().for_each(|(keyword, value)| params.push(keyword, value));
        params
    }
}

impl fmt::Display for Params {
    /// As on the wire, each with a space before it: ` SIZE=5 SMTPUTF8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (keyword, value) in self.iter() {
            write!(f, " {keyword}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

fn is_keyword(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// RFC 5321 esmtp-value, and UTF-8 beyond ASCII (RFC 6531 3.3).
fn is_value(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character != '=' && character != ' ' && !character.is_control())
}
