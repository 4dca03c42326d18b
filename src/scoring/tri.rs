//! Three-valued truth: what can be said of a condition while some lines are still open.

/// Whether something holds: `Maybe` while lines that matter are open. Ordered, so that "all" is the
/// minimum and "any" the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tri {
    /// Holds in no completion.
    No,
    /// Depends on what is still open.
    Maybe,
    /// Holds in every completion.
    Yes,
}

impl Tri {
    /// All of `parts`; `Yes` if there are none.
    pub fn all(parts: impl IntoIterator<Item = Tri>) -> Tri {
        parts.into_iter().min().unwrap_or(Tri::Yes)
    }

    /// Any of `parts`; `No` if there are none.
    pub fn any(parts: impl IntoIterator<Item = Tri>) -> Tri {
        parts.into_iter().max().unwrap_or(Tri::No)
    }

    /// The condition of composites, clauses and rules: each of `all`, one of `any` (if there are any), none of `none`.
    pub fn of_lists(
        all: impl IntoIterator<Item = Tri>,
        any: impl IntoIterator<Item = Tri>,
        none: impl IntoIterator<Item = Tri>,
    ) -> Tri {
        let any = any.into_iter().max().unwrap_or(Tri::Yes);
        Tri::all(all).min(any).min(!Tri::any(none))
    }

    /// At least `wanted` of `parts`.
    pub fn at_least(wanted: usize, parts: impl IntoIterator<Item = Tri>) -> Tri {
        let (mut sure, mut possible) = (0, 0);
        for part in parts {
            sure += usize::from(part == Tri::Yes);
            possible += usize::from(part != Tri::No);
        }
        match (sure >= wanted, possible >= wanted) {
            (true, _) => Tri::Yes,
            (false, true) => Tri::Maybe,
            (false, false) => Tri::No,
        }
    }
}

impl std::ops::Not for Tri {
    type Output = Tri;
    fn not(self) -> Tri {
        match self {
            Tri::No => Tri::Yes,
            Tri::Maybe => Tri::Maybe,
            Tri::Yes => Tri::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tri::{self, Maybe, No, Yes};

    #[test]
    fn lists_hold_together() {
        type Row<'a> = (&'a [Tri], &'a [Tri], &'a [Tri], Tri);
        let table: &[Row<'_>] = &[
            (&[], &[], &[], Yes),
            (&[Yes], &[No, Yes], &[No], Yes),
            (&[Yes, Maybe], &[], &[], Maybe),
            (&[Yes], &[No], &[], No),
            (&[], &[No, Maybe], &[], Maybe),
            (&[Yes], &[], &[No, Maybe], Maybe),
            (&[Maybe], &[Yes], &[Yes], No),
        ];
        for (all, any, none, expected) in table {
            let of = |list: &[Tri]| list.to_vec();
            assert_eq!(Tri::of_lists(of(all), of(any), of(none)), *expected, "{all:?} {any:?} {none:?}");
        }
    }

    #[test]
    fn counting_knows_what_is_sure_and_what_is_possible() {
        let table: &[(usize, &[Tri], Tri)] = &[
            (0, &[], Yes),
            (1, &[], No),
            (1, &[Maybe, No], Maybe),
            (1, &[Maybe, Yes], Yes),
            (2, &[Maybe, Yes], Maybe),
            (2, &[No, Yes], No),
        ];
        for (wanted, parts, expected) in table {
            assert_eq!(Tri::at_least(*wanted, parts.iter().copied()), *expected, "{wanted} of {parts:?}");
        }
    }
}
