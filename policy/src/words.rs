//! Closed vocabularies: enums whose variants have one word each, and sets of them.

/// Defines an enum with one word for each variant: `ALL`, `as_str` and `from_word` come from one list.
///
/// ```
/// portcullis_policy::words! {
///     /// A direction.
///     pub enum Direction {
///         /// Towards the app.
///         Up = "up",
///         /// Towards the client.
///         Down = "down",
///     }
/// }
/// assert_eq!(Direction::ALL, [Direction::Up, Direction::Down]);
/// assert_eq!(Direction::Down.as_str(), "down");
/// assert_eq!(Direction::from_word("up"), Some(Direction::Up));
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        // Not every vocabulary is listed, written and read.
        const _: (usize, fn($name) -> &'static str, fn(&str) -> Option<$name>) =
            ($name::WORDS.len(), $name::as_str, $name::from_word);

        impl $name {
            /// Every variant, in order.
            $vis const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Every word, in the same order.
            $vis const WORDS: [&'static str; Self::ALL.len()] = [$($word),+];

            /// The word that files, logs and metrics use.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant with this word, exactly as it is written.
            #[must_use]
            $vis fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

/// Defines a set over such an enum, a bit for each variant.
macro_rules! word_set {
    ($(#[$doc:meta])* $name:ident of $item:ident: $bits:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name($bits);

        impl $name {
            /// The set without members.
            pub const EMPTY: Self = Self(0);

            /// Whether `item` is a member.
            #[must_use]
            pub const fn contains(self, item: $item) -> bool {
                self.0 & (1 << item as u8) != 0
            }

            /// This set with `item` added.
            #[must_use]
            pub const fn with(self, item: $item) -> Self {
                Self(self.0 | (1 << item as u8))
            }

            /// The members of both sets.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Whether there is no member.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The members, in the order of the enum.
            pub fn iter(self) -> impl Iterator<Item = $item> {
                $item::ALL.into_iter().filter(move |item| self.contains(*item))
            }
        }

        impl FromIterator<$item> for $name {
            fn from_iter<I: IntoIterator<Item = $item>>(items: I) -> Self {
                items.into_iter().fold(Self::EMPTY, Self::with)
            }
        }
    };
}
pub(crate) use word_set;
