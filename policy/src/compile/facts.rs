//! A row of policies for each value that a fact of the request can have.
//!
//! A decision picks one row for each fact and ANDs them. A condition that no policy has makes no rows
//! and costs nothing.

use alloc::vec::Vec;

use super::bits::{Rows, set_bit};
use super::layout::Layout;
use super::places::{PlaceRows, Places};
use crate::matching;
use crate::model::{
    AuthenticationContext, ClientAppType, Conditions, Flow, Platform, Policy, PolicySet, RiskLevel, RiskSet,
    Targets,
};
use crate::signals::{ClientContext, Fact, Signals};
use crate::tri::Tri;

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
    first: usize,
    values: usize,
}

impl Table {
    #[inline]
    fn narrow(self, narrowing: &mut Narrowing<'_>, fact: Fact<usize>) {
        let row = match fact {
            Fact::Known(value) => value,
            Fact::Unknown => self.values,
            Fact::Unavailable => {
                narrowing.doubt(self.first + self.values + 2);
                self.values + 1
            }
        };
        narrowing.possible.push(narrowing.table.offset(self.first + row));
    }
}

/// The rows of the authentication contexts that policies speak of; the first is for all others.
#[derive(Debug)]
struct Contexts {
    first: usize,
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
        let table = Table { first: self.rows.len(), values: values.len() };
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
        let contexts = self.layout.policies(self.set).filter_map(|(_, policy)| match &policy.targets {
            Targets::Contexts(contexts) => Some(contexts),
            Targets::Apps(_) => None,
        });
        let mut contexts = contexts.peekable();
        // A policy about no context at all still needs the row that rules it out.
        contexts.peek()?;
        let mut known: Vec<AuthenticationContext> = contexts.flatten().copied().collect();
        known.sort_unstable();
        known.dedup();
        let first = self.rows.len();
        for asked in core::iter::once(None).chain(known.iter().map(Some)) {
            self.row(|policy| match &policy.targets {
                Targets::Apps(_) => true,
                Targets::Contexts(contexts) => asked.is_some_and(|asked| contexts.contains(asked)),
            });
        }
        Some(Contexts { first, known })
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
            places: Places::new(set, layout),
            rows: builder.rows,
        }
    }

    /// The rows of this request.
    #[inline]
    pub(crate) fn narrow(&self, signals: &Signals<'_>) -> Narrowing<'_> {
        let context = signals.context;
        let places = self.places.as_ref().map(|places| places.rows(context.address, context.country));
        let mut narrowing =
            Narrowing { table: &self.rows, possible: Picked::NONE, certain: Picked::NONE, places };
        if let Some(contexts) = &self.contexts {
            let known = signals.target.context.and_then(|asked| contexts.known.binary_search(&asked).ok());
            let row = contexts.first + known.map_or(0, |position| position + 1);
            narrowing.possible.push(self.rows.offset(row));
        }
        if let Some(table) = self.client_app {
            table.narrow(&mut narrowing, position(context.client_app, |kind| kind as usize));
        }
        if let Some(table) = self.platform {
            table.narrow(&mut narrowing, position(context.platform, |platform| platform as usize));
        }
        if let Some(table) = self.flow {
            let used = signals.principal.sign_in.flow.map_or(Fact::Unknown, Fact::Known);
            table.narrow(&mut narrowing, position(used, |flow| flow as usize));
        }
        for (table, risk) in self.risks.iter().zip(risks(context)) {
            if let Some(table) = table {
                table.narrow(&mut narrowing, position(risk, |level| level as usize));
            }
        }
        narrowing
    }
}

const fn risks(context: &ClientContext<'_>) -> [Fact<RiskLevel>; 4] {
    [context.sign_in_risk, context.user_risk, context.insider_risk, context.service_principal_risk]
}

fn position<T>(fact: Fact<T>, position: impl FnOnce(T) -> usize) -> Fact<usize> {
    match fact {
        Fact::Known(value) => Fact::Known(position(value)),
        Fact::Unknown => Fact::Unknown,
        Fact::Unavailable => Fact::Unavailable,
    }
}

/// The rows that one request picks.
pub(crate) struct Narrowing<'p> {
    table: &'p Rows,
    possible: Picked,
    /// Rows of unavailable facts: where the condition holds all the same.
    certain: Picked,
    places: Option<PlaceRows<'p>>,
}

impl Narrowing<'_> {
    #[cold]
    fn doubt(&mut self, row: usize) {
        self.certain.push(self.table.offset(row));
    }

    /// The policies of one word whose conditions hold or may hold.
    #[inline]
    pub(crate) fn possible(&self, word: usize) -> u64 {
        let found = self.possible.and(self.table, word);
        match &self.places {
            Some(places) if found != 0 => found & places.possible(word),
            Some(_) | None => found,
        }
    }

    /// Of the possible ones, those whose conditions hold whatever the unavailable facts are.
    #[inline]
    pub(crate) fn certain(&self, word: usize) -> u64 {
        let found = self.certain.and(self.table, word);
        match &self.places {
            Some(places) => found & places.certain(word),
            None => found,
        }
    }
}

/// Where the row of each fact begins: context, client app, platform, flow, four risks.
struct Picked {
    offsets: [usize; 8],
    len: usize,
}

impl Picked {
    const NONE: Self = Self { offsets: [0; 8], len: 0 };

    #[inline]
    fn push(&mut self, offset: usize) {
        if let Some(place) = self.offsets.get_mut(self.len) {
            *place = offset;
            self.len += 1;
        }
    }

    #[inline]
    fn and(&self, table: &Rows, word: usize) -> u64 {
        let rows = self.offsets.iter().take(self.len);
        rows.fold(u64::MAX, |found, offset| found & table.word(*offset, word))
    }
}
