//! Yes, no, or *it turns on something unavailable*: the three-valued logic that fails closed.

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tri {
    /// It does not.
    No,
    /// It would depend on a fact that is unavailable.
    Maybe,
    /// It does.
    Yes,
}

impl Tri {
    pub(crate) const fn from_bool(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
        }
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
        }
    }

    pub(crate) const fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }

    /// Some include, and no exclude.
    pub(crate) const fn unless(self, excluded: Self) -> Self {
        self.and(excluded.not())
    }

    /// Whether any of `items` holds.
    pub(crate) fn any<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Self) -> Self {
        let mut found = Self::No;
        for item in items {
            found = found.or(holds(item));
            if found == Self::Yes {
                break;
            }
        }
        found
    }
}
