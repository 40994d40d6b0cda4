//! Where an address is: one look-up gives its class, which is the set of named locations that hold there,
//! and through it the policies. A location condition holds when some include matches, by address or by
//! country, and no exclude does: four rows.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;
use ipnet::IpNet;

use super::bits::{Postings, Rows, add, set_bit};
use super::intervals::Intervals;
use super::layout::Layout;
use crate::model::{CountryCode, LocationSelector, NamedLocation, Place, PolicySet};
use crate::signals::Fact;

/// How many words of rows are precomputed (8 MiB); beyond, a row is put together word by word.
const ROWS_MAX_WORDS: usize = 1 << 20;

/// Where every policy about places stands.
#[derive(Debug)]
pub(crate) struct Places {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
    addresses: Sides,
    /// The class of each country by its two letters.
    class_of_country: Box<[u32]>,
    class_of_unknown: u32,
    countries: Sides,
}

impl Places {
    /// `None` when no policy has a location condition.
    pub(super) fn new(set: &PolicySet, layout: &Layout, rows: &mut Rows) -> Option<Self> {
        if !layout.policies(set).any(|(_, policy)| policy.conditions.locations.is_some()) {
            return None;
        }
        let uses = Uses::new(set, layout);
        let used = |location: &(u32, &NamedLocation)| {
            let place = if matches!(location.1.place, Place::Networks { trusted: true, .. }) {
                uses.trusted_used
            } else {
                false
            };
            place || uses.named.get(location.0 as usize).copied().unwrap_or(true)
        };
        let locations: Vec<(u32, &NamedLocation)> = (0_u32..).zip(&set.locations).filter(used).collect();

        let mut classes = Classes::new();
        let (v4, v6) = intervals(&locations, uses.trusted, &mut classes);
        let addresses = Sides::new(uses.addresses, classes.sets, set.locations.len(), rows);

        let mut classes = Classes::new();
        let (class_of_country, class_of_unknown) = countries(&locations, &mut classes);
        let countries = Sides::new(uses.countries, classes.sets, set.locations.len(), rows);
        Some(Self { v4, v6, addresses, class_of_country, class_of_unknown, countries })
    }

    /// The first and the last address of every piece into which networks cut the addresses.
    pub(crate) fn edges(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.edges().map(|address| IpAddr::V4(Ipv4Addr::from_bits(address)));
        v4.chain(self.v6.edges().map(|address| IpAddr::V6(Ipv6Addr::from_bits(address))))
    }

    /// Whether an address is in no network that policies speak of.
    pub(crate) fn is_outside(&self, address: IpAddr) -> bool {
        self.address_class(Fact::Known(address)) == Fact::Known(NO_PLACE)
    }

    /// Whether a country is in no location that policies speak of.
    pub(crate) fn is_unnamed(&self, country: CountryCode) -> bool {
        self.country_class(Fact::Known(country)) == Fact::Known(NO_PLACE)
    }

    /// The rows of a place. An IPv4-mapped IPv6 address is the IPv4 address.
    #[inline]
    pub(crate) fn rows(
        &self,
        rows: &Rows,
        address: Fact<IpAddr>,
        country: Fact<CountryCode>,
    ) -> PlaceRows<'_> {
        let (address, country) = (self.address_class(address), self.country_class(country));
        PlaceRows {
            possible: self.quad(rows, address, country, false),
            certain: if address == Fact::Unavailable || country == Fact::Unavailable {
                Some(self.quad(rows, address, country, true))
            } else {
                None
            },
        }
    }

    /// Addresses of one class are in the same locations.
    #[inline]
    pub(crate) fn address_class(&self, address: Fact<IpAddr>) -> Fact<u32> {
        match address {
            Fact::Known(address) => Fact::Known(match address.to_canonical() {
                IpAddr::V4(address) => self.v4.class(address.to_bits()).unwrap_or(NO_PLACE),
                IpAddr::V6(address) => self.v6.class(address.to_bits()).unwrap_or(NO_PLACE),
            }),
            // An address that nobody knows is in no network.
            Fact::Unknown => Fact::Known(NO_PLACE),
            Fact::Unavailable => Fact::Unavailable,
        }
    }

    /// Countries of one class are in the same locations.
    #[inline]
    pub(crate) fn country_class(&self, country: Fact<CountryCode>) -> Fact<u32> {
        match country {
            Fact::Known(country) => {
                Fact::Known(self.class_of_country.get(country.index()).copied().unwrap_or(NO_PLACE))
            }
            Fact::Unknown => Fact::Known(self.class_of_unknown),
            Fact::Unavailable => Fact::Unavailable,
        }
    }

    /// What includes and excludes at a place; of unavailable facts, what may or what does for certain.
    #[inline]
    fn quad(&self, rows: &Rows, address: Fact<u32>, country: Fact<u32>, certain: bool) -> Quad<'_> {
        Quad {
            include: [
                self.addresses.include.row(rows, address, !certain),
                self.countries.include.row(rows, country, !certain),
            ],
            exclude: [
                self.addresses.exclude.row(rows, address, certain),
                self.countries.exclude.row(rows, country, certain),
            ],
        }
    }
}

/// The rows that one place picks.
pub(crate) struct PlaceRows<'p> {
    possible: Quad<'p>,
    /// Only when a fact is unavailable.
    certain: Option<Quad<'p>>,
}

impl PlaceRows<'_> {
    #[inline]
    pub(crate) fn possible(&self, rows: &Rows, word: usize) -> u64 {
        self.possible.word(rows, word)
    }

    #[inline]
    pub(crate) fn certain(&self, rows: &Rows, word: usize) -> u64 {
        self.certain.as_ref().map_or(u64::MAX, |quad| quad.word(rows, word))
    }
}

/// Includes and excludes, each by address and by country.
struct Quad<'p> {
    include: [Row<'p>; 2],
    exclude: [Row<'p>; 2],
}

impl Quad<'_> {
    /// A word that is missing includes all and excludes nothing: a policy too many refuses more.
    #[inline]
    fn word(&self, rows: &Rows, word: usize) -> u64 {
        let [address, country] = &self.include;
        let include = address.word(rows, word, u64::MAX) | country.word(rows, word, u64::MAX);
        let [address, country] = &self.exclude;
        include & !(address.word(rows, word, 0) | country.word(rows, word, 0))
    }
}

/// The policies of one class: where their row begins, or how to put it together.
#[derive(Clone, Copy)]
enum Row<'p> {
    At(usize),
    Parts(&'p Sheet, u32),
}

impl Row<'_> {
    #[inline]
    fn word(&self, rows: &Rows, word: usize, missing: u64) -> u64 {
        match self {
            Row::At(offset) => rows.word(*offset, word, missing),
            Row::Parts(sheet, class) => sheet.word(rows, *class, word, missing),
        }
    }
}

/// What includes and what excludes, by one kind of fact.
#[derive(Debug)]
struct Sides {
    include: Sheet,
    exclude: Sheet,
}

impl Sides {
    fn new(pairs: SidePairs, classes: Vec<Box<[u32]>>, locations: usize, rows: &mut Rows) -> Self {
        let classes: Arc<[Box<[u32]>]> = classes.into();
        Self {
            include: Sheet::new(pairs.include_always, pairs.include, locations, classes.clone(), rows),
            exclude: Sheet::new(pairs.exclude_always, pairs.exclude, locations, classes, rows),
        }
    }
}

#[derive(Debug)]
struct Sheet {
    /// The row of the policies that match in every class, and of those that match in some.
    always: usize,
    some: usize,
    /// The first of the rows by class, unless they would be too many words.
    ready: Option<usize>,
    /// Policies by location.
    postings: Postings,
    /// Locations by class, ascending.
    classes: Arc<[Box<[u32]>]>,
}

impl Sheet {
    fn new(
        always: Vec<u64>,
        pairs: Vec<(u32, u32)>,
        locations: usize,
        classes: Arc<[Box<[u32]>]>,
        rows: &mut Rows,
    ) -> Self {
        // One more than there are locations: the trusted ones together.
        let postings = Postings::new(locations + 1, pairs);
        let mut some = always.clone();
        (0_u32..).take(locations + 1).for_each(|location| add(&mut some, postings.of(location)));
        let (some, always_row) = (rows.push(&some), rows.push(&always));
        let ready = (classes.len().saturating_mul(always.len()) <= ROWS_MAX_WORDS).then(|| {
            let first = rows.end();
            for locations in classes.iter() {
                let mut row = always.clone();
                locations.iter().for_each(|location| add(&mut row, postings.of(*location)));
                rows.push(&row);
            }
            first
        });
        Self { always: always_row, some, ready, postings, classes }
    }

    /// The row of a class; of an unavailable one, what may match or what does all the same.
    #[inline]
    fn row(&self, rows: &Rows, class: Fact<u32>, perhaps: bool) -> Row<'_> {
        match (class.known(), self.ready) {
            (Some(class), Some(first)) => Row::At(rows.below(first, class as usize)),
            (Some(class), None) => Row::Parts(self, class),
            (None, _) => Row::At(if perhaps { self.some } else { self.always }),
        }
    }

    /// One word of a row that is not precomputed.
    fn word(&self, rows: &Rows, class: u32, word: usize, missing: u64) -> u64 {
        let locations = self.classes.get(class as usize).into_iter().flatten();
        locations.fold(rows.word(self.always, word, missing), |found, location| {
            let list = self.postings.of(*location);
            let place = list.binary_search_by_key(&word, |some| some.word as usize);
            found | place.ok().and_then(|place| list.get(place)).map_or(0, |some| some.bits)
        })
    }
}

/// Which policies speak of which location.
struct Uses {
    addresses: SidePairs,
    countries: SidePairs,
    /// Whether a location is named at all.
    named: Vec<bool>,
    /// The trusted locations together, as one more location.
    trusted: u32,
    trusted_used: bool,
}

struct SidePairs {
    include_always: Vec<u64>,
    exclude_always: Vec<u64>,
    include: Vec<(u32, u32)>,
    exclude: Vec<(u32, u32)>,
}

impl SidePairs {
    fn new(words: usize) -> Self {
        let (include_always, exclude_always) = (alloc::vec![0; words], alloc::vec![0; words]);
        Self { include_always, exclude_always, include: Vec::new(), exclude: Vec::new() }
    }
}

impl Uses {
    fn new(set: &PolicySet, layout: &Layout) -> Self {
        let position =
            (0_u32..).zip(&set.locations).map(|(position, location)| (location.name.as_str(), position));
        let positions: HashMap<&str, u32> = position.collect();
        let is_trusted =
            |location: &NamedLocation| matches!(location.place, Place::Networks { trusted: true, .. });
        let mut uses = Self {
            addresses: SidePairs::new(layout.words()),
            countries: SidePairs::new(layout.words()),
            named: alloc::vec![false; set.locations.len()],
            trusted: u32::try_from(set.locations.len()).unwrap_or(u32::MAX),
            trusted_used: false,
        };
        let any_trusted = set.locations.iter().any(is_trusted);
        for (bit, policy) in layout.policies(set) {
            let Some(condition) = &policy.conditions.locations else {
                set_bit(&mut uses.addresses.include_always, bit);
                continue;
            };
            for (selectors, excludes) in [(&condition.include, false), (&condition.exclude, true)] {
                for selector in selectors {
                    match selector {
                        LocationSelector::All if excludes => {
                            set_bit(&mut uses.addresses.exclude_always, bit);
                        }
                        LocationSelector::All => set_bit(&mut uses.addresses.include_always, bit),
                        LocationSelector::AllTrusted if any_trusted => {
                            uses.trusted_used = true;
                            let pair = (uses.trusted, bit);
                            uses.addresses.side(excludes).push(pair);
                        }
                        LocationSelector::AllTrusted => {}
                        // INVARIANT: `check` refuses a name that nobody defines.
                        LocationSelector::Named(name) => {
                            let Some(position) = positions.get(name.as_str()) else { continue };
                            if let Some(named) = uses.named.get_mut(*position as usize) {
                                *named = true;
                            }
                            let location = set.locations.get(*position as usize);
                            let pairs = match location.map(|location| &location.place) {
                                Some(Place::Countries { .. }) => &mut uses.countries,
                                Some(Place::Networks { .. }) | None => &mut uses.addresses,
                            };
                            pairs.side(excludes).push((*position, bit));
                        }
                    }
                }
            }
        }
        uses
    }
}

impl SidePairs {
    const fn side(&mut self, excludes: bool) -> &mut Vec<(u32, u32)> {
        if excludes { &mut self.exclude } else { &mut self.include }
    }
}

/// The class of a place that is in no location.
const NO_PLACE: u32 = 0;

/// Sets of locations that hold somewhere, each once.
struct Classes {
    sets: Vec<Box<[u32]>>,
    known: HashMap<Box<[u32]>, u32>,
}

impl Classes {
    fn new() -> Self {
        let mut classes = Self { sets: Vec::new(), known: HashMap::new() };
        classes.intern(Vec::new());
        classes
    }

    /// The class of a place within all of these ranges.
    fn around<T>(&mut self, ranges: &[(T, [Option<u32>; 2])]) -> u32 {
        self.intern(ranges.iter().flat_map(|(_, locations)| locations).flatten().copied().collect())
    }

    fn intern(&mut self, mut locations: Vec<u32>) -> u32 {
        locations.sort_unstable();
        locations.dedup();
        let locations: Box<[u32]> = locations.into();
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        *self.known.entry(locations).or_insert_with_key(|locations| {
            self.sets.push(locations.clone());
            next
        })
    }
}

/// The class of each country, and of an unknown one.
fn countries(locations: &[(u32, &NamedLocation)], classes: &mut Classes) -> (Box<[u32]>, u32) {
    let mut sets: Vec<Vec<u32>> = alloc::vec![Vec::new(); CountryCode::COUNT];
    let mut unknown = Vec::new();
    for (position, location) in locations {
        let Place::Countries { countries, include_unknown } = &location.place else { continue };
        if *include_unknown {
            unknown.push(*position);
        }
        for country in countries {
            if let Some(set) = sets.get_mut(country.index()) {
                set.push(*position);
            }
        }
    }
    let by_country = sets.into_iter().map(|set| classes.intern(set)).collect();
    (by_country, classes.intern(unknown))
}

fn intervals(
    locations: &[(u32, &NamedLocation)],
    trusted_position: u32,
    classes: &mut Classes,
) -> (Intervals<u32>, Intervals<u128>) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (position, location) in locations {
        let Place::Networks { networks, trusted } = &location.place else { continue };
        let holds = [Some(*position), trusted.then_some(trusted_position)];
        for network in networks {
            match network {
                IpNet::V4(network) => {
                    v4.push((network.network().to_bits(), network.broadcast().to_bits(), holds));
                }
                IpNet::V6(network) => {
                    v6.push((network.network().to_bits(), network.broadcast().to_bits(), holds));
                }
            }
        }
    }
    (Intervals::new(v4, |around| classes.around(around)), Intervals::new(v6, |around| classes.around(around)))
}
