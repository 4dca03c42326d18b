//! What is wrong with a configuration: all of it at once, each with its place and the nearest valid choice.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::{Deserialize, Serialize};

use super::source::{Document, Source};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It runs, but probably not as meant.
    Warning,
    /// It does not load.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The key that it concerns; empty for the file as a whole.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
    /// The valid choice that is nearest to what was written.
    pub nearest: Option<String>,
    source: Arc<Source>,
    span: Option<Range<usize>>,
}

/// A problem for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// The line, from 1; absent for what concerns the file as a whole.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// The key that it concerns; empty for the file as a whole.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
    /// The valid choice that is nearest to what was written.
    pub nearest: Option<String>,
}

/// Everything that is wrong, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

/// Takes problems of one document by key path.
pub struct Report<'a> {
    /// The document.
    pub document: &'a Document,
    /// Where they go.
    pub problems: &'a mut Problems,
}

impl Problem {
    /// A problem at a place.
    pub fn at(
        source: &Arc<Source>,
        span: Option<Range<usize>>,
        key: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            key: key.into(),
            reason: reason.into(),
            nearest: None,
            source: source.clone(),
            span,
        }
    }

    /// The same, where it does not keep the file from being used.
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// The same with a suggestion.
    pub fn with_nearest(mut self, nearest: Option<&str>) -> Self {
        self.nearest = nearest.map(str::to_owned);
        self
    }

    /// The same for programs.
    pub fn told(&self) -> Mistake {
        let place = self.line_column();
        Mistake {
            severity: self.severity,
            file: self.path().to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            key: self.key.clone(),
            reason: self.reason.clone(),
            nearest: self.nearest.clone(),
        }
    }

    /// The file.
    pub fn path(&self) -> &str {
        &self.source.path
    }

    /// Line and column from 1; `None` for what concerns the file as a whole.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        self.span.as_ref().map(|span| self.source.line_column(span.start))
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(title(&self.key, &self.reason));
        let Some(span) = &self.span else {
            return renderer.render(&[title.element(annotate_snippets::Origin::path(self.path()))]);
        };
        let mut annotation = AnnotationKind::Primary.span(on_characters(&self.source.text, span));
        if let Some(nearest) = &self.nearest {
            annotation = annotation.label(suggestion(nearest));
        }
        renderer.render(&[title.element(Snippet::source(&self.source.text).path(self.path()).annotation(annotation))])
    }
}

/// As that of the [`Mistake`].
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told().fmt(f)
    }
}

/// `file:line:column: error: key: reason; did you mean ...?`: what editors jump to.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, ": {severity}: {}", title(&self.key, &self.reason))?;
        self.nearest.as_ref().map_or(Ok(()), |nearest| write!(f, "; {}", suggestion(nearest)))
    }
}

fn title(key: &str, reason: &str) -> String {
    if key.is_empty() { reason.to_owned() } else { format!("{key}: {reason}") }
}

fn suggestion(nearest: &str) -> String {
    format!("did you mean `{nearest}`?")
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Problems) {
        self.list.extend(other.list);
    }

    /// True if one of them keeps the configuration from loading.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// True if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// `value`, unless there is an error among the problems.
    pub fn guard<T>(self, value: Option<T>) -> Result<(T, Problems), Problems> {
        match value {
            Some(value) if !self.has_errors() => Ok((value, self)),
            _ => Err(self),
        }
    }

    /// All of them for programs.
    pub fn told(&self) -> Vec<Mistake> {
        self.list.iter().map(Problem::told).collect()
    }

    /// In the order in which an editor shows them: by file as it was read, then by place.
    pub fn sort(&mut self) {
        let mut files: Vec<Arc<Source>> = Vec::new();
        for problem in &self.list {
            if !files.iter().any(|file| Arc::ptr_eq(file, &problem.source)) {
                files.push(problem.source.clone());
            }
        }
        self.list.sort_by_key(|problem| {
            let file = files.iter().position(|file| Arc::ptr_eq(file, &problem.source));
            (file, problem.span.as_ref().map(|span| span.start))
        });
    }

    /// With the lines that they are about; in colour if `styled`.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        self.list.iter().map(|problem| problem.render(&renderer) + "\n\n").collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl std::error::Error for Problems {}

impl Report<'_> {
    /// The value of `key` is wrong.
    pub fn error(&mut self, key: &str, reason: impl Into<String>) {
        let problem = self.problem(key, reason);
        self.problems.push(problem);
    }

    /// The value of `key` is wrong; perhaps `nearest` was meant.
    pub fn error_near(&mut self, key: &str, reason: impl Into<String>, nearest: Option<&str>) {
        let problem = self.problem(key, reason).with_nearest(nearest);
        self.problems.push(problem);
    }

    /// The value of `key` is probably not what was meant.
    pub fn warning(&mut self, key: &str, reason: impl Into<String>) {
        let problem = self.problem(key, reason);
        self.problems.push(Problem { severity: Severity::Warning, ..problem });
    }

    /// The value, or a problem at `key` that says why there is none.
    pub fn take<T, E: fmt::Display>(&mut self, key: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|why| self.error(key, why.to_string())).ok()
    }

    fn problem(&self, key: &str, reason: impl Into<String>) -> Problem {
        Problem::at(&self.document.source, self.document.value_span(key), key, reason)
    }
}

/// Of `choices` the one that differs least from `written`, if it could be a slip of the keyboard.
pub fn nearest<'a>(written: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    choices
        .into_iter()
        .map(|choice| (strsim::damerau_levenshtein(&lower, &choice.to_lowercase()), choice))
        .filter(|(distance, choice)| *distance <= (choice.len().max(written.len()) / 3).max(1))
        .min()
        .map(|(_, choice)| choice)
}

/// Spans of damaged text may end inside a character; a snippet must not.
fn on_characters(text: &str, span: &Range<usize>) -> Range<usize> {
    let down = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = down(span.start);
    start..down(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_choice_is_a_slip_and_not_a_guess() {
        let choices = ["sessions", "recipients", "errors"];
        for (written, expected) in [
            ("sesions", Some("sessions")),
            ("SESSIONS", Some("sessions")),
            ("recipient", Some("recipients")),
            ("hops", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, choices), expected, "{written}");
        }
    }

    #[test]
    fn a_problem_names_file_line_column_key_reason_and_remedy() {
        let source = Source::new("gatepost.toml", "[limits]\nsesions = 1\n");
        let problem = Problem::at(&source, Some(9..16), "limits.sesions", "no such key").with_nearest(Some("sessions"));
        assert_eq!(
            problem.to_string(),
            "gatepost.toml:2:1: error: limits.sesions: no such key; did you mean `sessions`?"
        );
        let shown = problem.render(&Renderer::plain());
        for part in ["error: limits.sesions: no such key", "gatepost.toml:2:1", "sesions = 1", "^^^^^^^ did you mean"] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }
}
