//! Arithmetic over rules: `meta NAME (__A + __B > 1) && !__C`.

use super::interval::Interval;

/// An expression over rules, in the order of computing: operands before their operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expression<N = String> {
    steps: Vec<Step<N>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step<N> {
    Number(f64),
    Rule(N),
    Not,
    Negative,
    Binary(Operator),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Equal,
    Unequal,
    Less,
    Greater,
    AtMost,
    AtLeast,
    Plus,
    Minus,
    Times,
    Power,
    Divided,
    Remainder,
    BitAnd,
    BitOr,
    Shift,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(&'static str),
}

const SIGNS: [&str; 21] =
    ["&&", "||", "==", "!=", "<=", ">=", "**", "<<", ">>", "(", ")", "!", "<", ">", "+", "-", "*", "/", "%", "&", "|"];
/// Nested parentheses and signs, at most.
const DEEPEST: usize = 200;

impl Expression {
    /// Reads one. An error says what is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        // Rewritten with a stack of its own, so that no nesting is too deep for ours.
        let mut expression = Self::default();
        let mut waiting: Vec<&'static str> = Vec::new();
        let mut wants_operand = true;
        for token in tokens {
            match token {
                Token::Number(number) if wants_operand => {
                    expression.steps.push(Step::Number(number));
                    wants_operand = false;
                }
                Token::Name(name) if wants_operand => {
                    expression.steps.push(Step::Rule(name));
                    wants_operand = false;
                }
                Token::Sign("(") if wants_operand => waiting.push("("),
                Token::Sign("!") if wants_operand => waiting.push("!"),
                Token::Sign("-") if wants_operand => waiting.push("neg"),
                Token::Sign("+") if wants_operand => {}
                Token::Sign(")") if !wants_operand => loop {
                    match waiting.pop() {
                        Some("(") => break,
                        Some(sign) => expression.push(sign),
                        None => return Err("a parenthesis that nothing opens".to_owned()),
                    }
                },
                Token::Sign(sign) if !wants_operand && rank(sign) > 0 => {
                    while let Some(top) = waiting.last().filter(|top| rank(top) >= rank(sign)) {
                        expression.push(top);
                        waiting.pop();
                    }
                    waiting.push(sign);
                    wants_operand = true;
                }
                token => return Err(format!("`{token:?}` stands where it cannot")),
            }
            if waiting.len() > DEEPEST {
                return Err("nested too deep".to_owned());
            }
        }
        if wants_operand {
            return Err("it ends too early".to_owned());
        }
        while let Some(sign) = waiting.pop() {
            if sign == "(" {
                return Err("a parenthesis that nothing closes".to_owned());
            }
            expression.push(sign);
        }
        Ok(expression)
    }

    fn push(&mut self, sign: &'static str) {
        self.steps.push(match sign {
            "!" => Step::Not,
            "neg" => Step::Negative,
            sign => Step::Binary(operator(sign)),
        });
    }

    /// The rules that it names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules().map(String::as_str)
    }

    /// The same with each name replaced.
    pub(super) fn with<N>(&self, mut meaning: impl FnMut(&str) -> N) -> Expression<N> {
        let steps = self.steps.iter().map(|step| match step {
            Step::Number(number) => Step::Number(*number),
            Step::Rule(name) => Step::Rule(meaning(name)),
            Step::Not => Step::Not,
            Step::Negative => Step::Negative,
            Step::Binary(operator) => Step::Binary(*operator),
        });
        Expression { steps: steps.collect() }
    }
}

impl<N> Expression<N> {
    /// The rules that it is about, some of them twice.
    pub(super) fn rules(&self) -> impl Iterator<Item = &N> {
        self.steps.iter().filter_map(|step| match step {
            Step::Rule(rule) => Some(rule),
            _ => None,
        })
    }

    /// What it comes to, where each rule has a value, or lies between two. The stack is for use again.
    pub(super) fn value(&self, stack: &mut Vec<Interval>, value_of: &mut dyn FnMut(&N) -> Interval) -> Interval {
        stack.clear();
        for step in &self.steps {
            let value = match step {
                Step::Number(number) => Interval::of(*number),
                Step::Rule(name) => value_of(name),
                Step::Not => !stack.pop().unwrap_or_default(),
                Step::Negative => -stack.pop().unwrap_or_default(),
                Step::Binary(operator) => {
                    let right = stack.pop().unwrap_or_default();
                    let left = stack.pop().unwrap_or_default();
                    between(*operator, left, right)
                }
            };
            stack.push(value);
        }
        stack.pop().unwrap_or_default()
    }
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// What an operator makes of what lies between bounds. It lies within what is said, which may be wider.
fn between(operator: Operator, left: Interval, right: Interval) -> Interval {
    if let (Some(left), Some(right)) = (left.certain(), right.certain()) {
        return Interval::of(binary(operator, left, right));
    }
    let is_positive = left.least() >= 0.0 && right.least() >= 0.0;
    match operator {
        Operator::And if !left.may_be_zero() => right,
        Operator::And if left.is_zero() => left,
        Operator::And => right.or(Interval::of(0.0)),
        Operator::Or if !left.may_be_zero() => left,
        Operator::Or if left.is_zero() => right,
        Operator::Or => left.but_zero().or(right),
        Operator::Equal => !left.differs(right),
        Operator::Unequal => left.differs(right),
        Operator::Less => left.is_below(right),
        Operator::Greater => right.is_below(left),
        Operator::AtMost => !right.is_below(left),
        Operator::AtLeast => !left.is_below(right),
        Operator::Plus => left.by_ends(right, |left, right| left + right),
        Operator::Minus => left.by_ends(right, |left, right| left - right),
        Operator::Times => left.by_ends(right, |left, right| left * right),
        Operator::Divided if !right.may_be_zero() => left.by_ends(right, |left, right| left / right),
        Operator::BitOr if is_positive => {
            Interval::between(left.least().max(right.least()).trunc(), left.most() + right.most())
        }
        Operator::BitAnd if is_positive => Interval::between(0.0, left.most().min(right.most())),
        Operator::Shift => Interval::of(0.0),
        Operator::Power | Operator::Divided | Operator::Remainder | Operator::BitAnd | Operator::BitOr => Interval::ANY,
    }
}

fn operator(sign: &str) -> Operator {
    match sign {
        "&&" => Operator::And,
        "||" => Operator::Or,
        "==" => Operator::Equal,
        "!=" => Operator::Unequal,
        "<" => Operator::Less,
        ">" => Operator::Greater,
        "<=" => Operator::AtMost,
        ">=" => Operator::AtLeast,
        "+" => Operator::Plus,
        "-" => Operator::Minus,
        "*" => Operator::Times,
        "**" => Operator::Power,
        "/" => Operator::Divided,
        "%" => Operator::Remainder,
        "&" => Operator::BitAnd,
        "|" => Operator::BitOr,
        _ => Operator::Shift,
    }
}

fn binary(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::And if left == 0.0 => left,
        Operator::And => right,
        Operator::Or if left == 0.0 => right,
        Operator::Or => left,
        Operator::Equal => truth(left == right),
        Operator::Unequal => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::Greater => truth(left > right),
        Operator::AtMost => truth(left <= right),
        Operator::AtLeast => truth(left >= right),
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Power => left.powf(right),
        Operator::Divided if right == 0.0 => 0.0,
        Operator::Divided => left / right,
        Operator::Remainder if (right as i64) == 0 => 0.0,
        Operator::Remainder => (left as i64).wrapping_rem(right as i64) as f64,
        Operator::BitAnd => ((left as i64) & (right as i64)) as f64,
        Operator::BitOr => ((left as i64) | (right as i64)) as f64,
        Operator::Shift => 0.0,
    }
}

/// How tightly it binds; 0 for what binds nothing.
fn rank(sign: &str) -> u8 {
    match sign {
        "||" => 1,
        "&&" => 2,
        "|" => 3,
        "&" => 4,
        "==" | "!=" => 5,
        "<" | ">" | "<=" | ">=" => 6,
        "+" | "-" => 8,
        "*" | "/" | "%" => 9,
        "!" | "neg" => 10,
        "**" => 11,
        _ => 0,
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(c) = rest.chars().next() {
        let length = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else if c.is_ascii_digit() || c == '.' {
            let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            tokens.push(Token::Number(number.parse().map_err(|_| format!("`{number}` is no number"))?));
            number.len()
        } else if c.is_ascii_alphabetic() || c == '_' {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let length = name.len();
            tokens.push(match name.as_str() {
                "and" => Token::Sign("&&"),
                "or" => Token::Sign("||"),
                "not" => Token::Sign("!"),
                _ => Token::Name(name),
            });
            length
        } else {
            return Err(format!("`{c}` is not understood"));
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}
