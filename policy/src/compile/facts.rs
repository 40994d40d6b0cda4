//! A row of policies for each value that a fact of the request can have.
//!
//! A decision picks one row for each fact and ANDs them. A condition that no policy has makes no rows
//! and costs nothing.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::bits::{Rows, set_bit};
use super::layout::Layout;
use super::matching;
use super::places::{PlaceRows, Places};
use crate::model::{
    AuthenticationContext, ClientAppType, Conditions, Flow, Platform, Policy, PolicySet, RiskLevel, RiskSet,
    Targets,
};
use crate::signals::{Fact, Signals};
use crate::tri::Tri;
use crate::value::CountryCode;

/// Rows for each fact that some policy speaks of.
#[derive(Debug)]
pub(crate) struct Facts {
    rows: Rows,
    contexts: Option<Contexts>,
    client_app: Option<Table>,
    platform: Option<Table>,
    flow: Option<Table>,
    risks: [Option<Table>; 4],
    places: Option<Places>,
}

/// Where the rows of one fact are: one for each value, one for unknown, and two for unavailable: where
/// the condition may hold, and where it does all the same.
#[derive(Clone, Copy, Debug)]
struct Table {
    first_row: usize,
    values: usize,
}

impl Table {
    /// Where the row of a fact begins.
    #[inline]
    fn pick(self, rows: &Rows, certain: &mut Option<Picked>, fact: Fact<usize>) -> usize {
        let row = match fact {
            Fact::Known(value) => value,
            Fact::Unknown => self.values,
            Fact::Unavailable => {
                doubt(certain, rows.below(self.first_row, self.values + 2));
                self.values + 1
            }
        };
        rows.below(self.first_row, row)
    }
}

/// The rows of the authentication contexts that policies speak of; the first is for all others.
#[derive(Debug)]
struct Contexts {
    first_row: usize,
    known: Vec<AuthenticationContext>,
}

struct Builder<'s> {
    set: &'s PolicySet,
    layout: &'s Layout,
    rows: Rows,
}

impl Builder<'_> {
    /// Adds the row of the policies that match.
    fn row(&mut self, matches: impl Fn(&Policy) -> bool) {
        let mut row: Vec<u64> = alloc::vec![0; self.layout.words()];
        let policies = self.layout.policies(self.set).filter(|(_, policy)| matches(policy));
        policies.for_each(|(bit, _)| set_bit(&mut row, bit));
        self.rows.push(&row);
    }

    /// The rows of one condition; `holds` says `None` of a policy without it. No rows when no policy has it.
    fn table<V: Copy>(
        &mut self,
        values: &[V],
        holds: impl Fn(&Conditions, Fact<V>) -> Option<Tri>,
    ) -> Option<Table> {
        let used = |(_, policy): (u32, &Policy)| holds(&policy.conditions, Fact::Unknown).is_some();
        if !self.layout.policies(self.set).any(used) {
            return None;
        }
        let table = Table { first_row: self.rows.end(), values: values.len() };
        let holds = |policy: &Policy, fact| holds(&policy.conditions, fact).unwrap_or(Tri::Yes);
        for value in values {
            self.row(|policy| holds(policy, Fact::Known(*value)) == Tri::Yes);
        }
        self.row(|policy| holds(policy, Fact::Unknown) == Tri::Yes);
        self.row(|policy| holds(policy, Fact::Unavailable) != Tri::No);
        self.row(|policy| holds(policy, Fact::Unavailable) == Tri::Yes);
        Some(table)
    }

    fn contexts(&mut self) -> Option<Contexts> {
        let contexts = self.layout.policies(self.set).filter_map(|(_, policy)| match &*policy.targets {
            Targets::Contexts(contexts) => Some(contexts),
            Targets::Apps(_) => None,
        });
        let mut contexts = contexts.peekable();
        // A policy about no context at all still needs the row that rules it out.
        contexts.peek()?;
        let mut known: Vec<AuthenticationContext> = contexts.flatten().copied().collect();
        known.sort_unstable();
        known.dedup();
        let first_row = self.rows.end();
        for asked in core::iter::once(None).chain(known.iter().map(Some)) {
            self.row(|policy| match &*policy.targets {
                Targets::Apps(_) => true,
                Targets::Contexts(contexts) => asked.is_some_and(|asked| contexts.contains(asked)),
            });
        }
        Some(Contexts { first_row, known })
    }
}

impl Facts {
    pub(super) fn new(set: &PolicySet, layout: &Layout) -> Self {
        let mut builder = Builder { set, layout, rows: Rows::new(layout.words()) };
        let risk = |builder: &mut Builder<'_>, of: fn(&Conditions) -> Option<RiskSet>| {
            builder
                .table(&RiskLevel::ALL, move |conditions, seen| Some(matching::risk(of(conditions)?, seen)))
        };
        Self {
            contexts: builder.contexts(),
            client_app: builder.table(&ClientAppType::ALL, |conditions, seen| {
                Some(matching::client_app(conditions.client_apps?, seen))
            }),
            platform: builder.table(&Platform::ALL, |conditions, seen| {
                Some(matching::platform(conditions.platforms.as_ref()?, seen))
            }),
            flow: builder
                .table(&Flow::ALL, |conditions, seen| Some(matching::flow(conditions.flows?, seen.known()))),
            risks: [
                risk(&mut builder, |conditions| conditions.sign_in_risk),
                risk(&mut builder, |conditions| conditions.user_risk),
                risk(&mut builder, |conditions| conditions.insider_risk),
                risk(&mut builder, |conditions| conditions.service_principal_risk),
            ],
            places: Places::new(set, layout, &mut builder.rows),
            rows: builder.rows,
        }
    }

    /// The places that policies distinguish; `None` when no policy speaks of places.
    pub(crate) const fn places(&self) -> Option<&Places> {
        self.places.as_ref()
    }

    /// The policies whose condition about client apps holds for one.
    pub(crate) fn client_app(&self, client_app: Fact<ClientAppType>) -> FactRow<'_> {
        FactRow::new(&self.rows, self.client_app, position(client_app, |kind| kind as usize))
    }

    /// The same of platforms.
    pub(crate) fn platform(&self, platform: Fact<Platform>) -> FactRow<'_> {
        FactRow::new(&self.rows, self.platform, position(platform, |platform| platform as usize))
    }

    /// The same of authentication flows.
    pub(crate) fn flow(&self, flow: Option<Flow>) -> FactRow<'_> {
        let flow = flow.map_or(Fact::Unknown, |flow| Fact::Known(flow as usize));
        FactRow::new(&self.rows, self.flow, flow)
    }

    /// The same of places.
    pub(crate) fn place(&self, address: Fact<IpAddr>, country: Fact<CountryCode>) -> PlaceRow<'_> {
        let places = self.places.as_ref().map(|places| places.rows(&self.rows, address, country));
        PlaceRow { rows: &self.rows, places }
    }

    /// The same of everything that is as it is: the risks, and the context that is asked for.
    pub(crate) fn fixed(&self, signals: &Signals<'_>) -> [FactRow<'_>; 5] {
        let (rows, context) = (&self.rows, signals.context);
        let [sign_in, user, insider, service_principal] = self.risks;
        let risk =
            |table, seen: Fact<RiskLevel>| FactRow::new(rows, table, position(seen, |level| level as usize));
        let asked = self.contexts.as_ref().map_or(Rows::ALL, |one| one.row(rows, signals.target.context));
        [
            risk(sign_in, context.sign_in_risk),
            risk(user, context.user_risk),
            risk(insider, context.insider_risk),
            risk(service_principal, context.service_principal_risk),
            FactRow { rows, possible: asked, certain: asked },
        ]
    }

    /// The rows of this request.
    #[inline]
    pub(crate) fn narrow(&self, signals: &Signals<'_>) -> Narrowing<'_> {
        let (context, rows) = (signals.context, &self.rows);
        let mut certain = None;
        let mut pick = |table: Option<Table>, fact: Fact<usize>| {
            table.map_or(Rows::ALL, |table| table.pick(rows, &mut certain, fact))
        };
        let [sign_in, user, insider, service_principal] = self.risks;
        // Not looked at where no policy asks: a standing is rarely in a near cache.
        let flow = self.flow.and_then(|_| signals.principal.standing.sign_in.flow);
        let flow = flow.map_or(Fact::Unknown, Fact::Known);
        let possible = Picked([
            pick(self.client_app, position(context.client_app, |kind| kind as usize)),
            pick(self.platform, position(context.platform, |platform| platform as usize)),
            pick(self.flow, position(flow, |flow| flow as usize)),
            pick(sign_in, position(context.sign_in_risk, |level| level as usize)),
            pick(user, position(context.user_risk, |level| level as usize)),
            pick(insider, position(context.insider_risk, |level| level as usize)),
            pick(service_principal, position(context.service_principal_risk, |level| level as usize)),
            self.contexts.as_ref().map_or(Rows::ALL, |contexts| contexts.row(rows, signals.target.context)),
        ]);
        let places = self.places.as_ref().map(|places| places.rows(rows, context.address, context.country));
        Narrowing { rows, possible, certain, places }
    }
}

impl Contexts {
    fn row(&self, rows: &Rows, asked: Option<AuthenticationContext>) -> usize {
        let known = asked.and_then(|asked| self.known.binary_search(&asked).ok());
        rows.below(self.first_row, known.map_or(0, |position| position + 1))
    }
}

fn position<T>(fact: Fact<T>, position: impl FnOnce(T) -> usize) -> Fact<usize> {
    match fact {
        Fact::Known(value) => Fact::Known(position(value)),
        Fact::Unknown => Fact::Unknown,
        Fact::Unavailable => Fact::Unavailable,
    }
}

/// The policies whose condition about one fact holds.
pub(crate) struct FactRow<'p> {
    rows: &'p Rows,
    possible: usize,
    certain: usize,
}

impl<'p> FactRow<'p> {
    fn new(rows: &'p Rows, table: Option<Table>, fact: Fact<usize>) -> Self {
        let Some(Table { first_row, values }) = table else {
            return Self { rows, possible: Rows::ALL, certain: Rows::ALL };
        };
        let (possible, certain) = match fact {
            Fact::Known(value) => (value, value),
            Fact::Unknown => (values, values),
            Fact::Unavailable => (values + 1, values + 2),
        };
        Self { rows, possible: rows.below(first_row, possible), certain: rows.below(first_row, certain) }
    }

    /// Those of one word of which it holds, or may.
    pub(crate) fn possible(&self, word: usize) -> u64 {
        self.rows.word(self.possible, word, u64::MAX)
    }

    /// Those of one word of which it holds whatever the fact is.
    pub(crate) fn certain(&self, word: usize) -> u64 {
        self.rows.word(self.certain, word, u64::MAX)
    }
}

/// The policies whose condition about places holds.
pub(crate) struct PlaceRow<'p> {
    rows: &'p Rows,
    places: Option<PlaceRows<'p>>,
}

impl PlaceRow<'_> {
    /// See [`FactRow::possible`].
    pub(crate) fn possible(&self, word: usize) -> u64 {
        self.places.as_ref().map_or(u64::MAX, |places| places.possible(self.rows, word))
    }

    /// See [`FactRow::certain`].
    pub(crate) fn certain(&self, word: usize) -> u64 {
        let certain =
            |places: &PlaceRows<'_>| places.possible(self.rows, word) & places.certain(self.rows, word);
        self.places.as_ref().map_or(u64::MAX, certain)
    }
}

/// The rows that one request picks.
pub(crate) struct Narrowing<'p> {
    rows: &'p Rows,
    possible: Picked,
    /// Rows of unavailable facts: where the condition holds all the same. `None` when every fact is available, as
    /// nearly always.
    certain: Option<Picked>,
    places: Option<PlaceRows<'p>>,
}

impl Narrowing<'_> {
    /// The policies of one word whose conditions hold or may hold.
    #[inline]
    pub(crate) fn possible(&self, word: usize) -> u64 {
        let found = self.possible.and(self.rows, word);
        match &self.places {
            Some(places) if found != 0 => found & places.possible(self.rows, word),
            Some(_) | None => found,
        }
    }

    /// Of the possible ones, those whose conditions hold whatever the unavailable facts are.
    #[inline]
    pub(crate) fn certain(&self, word: usize) -> u64 {
        let found = self.certain.as_ref().map_or(u64::MAX, |certain| certain.and(self.rows, word));
        match &self.places {
            Some(places) => found & places.certain(self.rows, word),
            None => found,
        }
    }
}

/// Where the row of each fact begins. Always eight, for a loop of known length: facts that no policy
/// speaks of pick the row that rules nothing out.
struct Picked([usize; 8]);

impl Picked {
    /// A word that is missing rules nothing out: a policy too many refuses more.
    #[inline]
    fn and(&self, rows: &Rows, word: usize) -> u64 {
        self.0.iter().fold(u64::MAX, |found, offset| found & rows.word(*offset, word, u64::MAX))
    }
}

/// Remembers the row of one more unavailable fact.
#[cold]
fn doubt(certain: &mut Option<Picked>, offset: usize) {
    let Picked(rows) = certain.get_or_insert(Picked([Rows::ALL; 8]));
    if let Some(free) = rows.iter_mut().find(|one| **one == Rows::ALL) {
        *free = offset;
    }
}
