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
    AuthenticationContext, ClientAppType, Conditions, Flow, Platform, PolicySet, RiskLevel, RiskSet, Targets,
};
use crate::signals::{ClientContext, Fact, Signals};
use crate::tri::Tri;

/// Rows for each fact that some policy speaks of.
#[derive(Debug)]
pub(crate) struct Facts {
    contexts: Option<Contexts>,
    client_app: Option<Table>,
    platform: Option<Table>,
    flow: Option<Table>,
    risks: [Option<Table>; 4],
    places: Option<Places>,
}

/// The rows of one fact: one for each value, one for unknown, and two for unavailable: where the
/// condition may hold, and where it does all the same.
#[derive(Debug)]
struct Table {
    rows: Rows,
    values: usize,
}

impl Table {
    /// `None` when no policy has the condition.
    fn new<V: Copy>(
        set: &PolicySet,
        layout: &Layout,
        values: &[V],
        holds: impl Fn(&Conditions, Fact<V>) -> Option<Tri>,
    ) -> Option<Self> {
        let words = layout.words();
        let mut rows = Rows::new(words);
        let mut used = false;
        let mut push = |fact: Fact<V>, at_least: Tri| {
            let mut row: Vec<u64> = alloc::vec![0; words];
            for (bit, policy) in layout.policies(set) {
                let found = holds(&policy.conditions, fact);
                used |= found.is_some();
                match found.unwrap_or(Tri::Yes) {
                    Tri::Yes => set_bit(&mut row, bit),
                    Tri::Maybe if at_least == Tri::Maybe => set_bit(&mut row, bit),
                    Tri::Maybe | Tri::No => {}
                }
            }
            rows.push(&row);
        };
        values.iter().for_each(|value| push(Fact::Known(*value), Tri::Yes));
        push(Fact::Unknown, Tri::Yes);
        push(Fact::Unavailable, Tri::Maybe);
        push(Fact::Unavailable, Tri::Yes);
        used.then_some(Self { rows, values: values.len() })
    }

    #[inline]
    fn narrow<'p>(&'p self, narrowing: &mut Narrowing<'p>, fact: Fact<usize>) {
        match fact {
            Fact::Known(value) => narrowing.possible.push(self.rows.row(value)),
            Fact::Unknown => narrowing.possible.push(self.rows.row(self.values)),
            Fact::Unavailable => {
                narrowing.possible.push(self.rows.row(self.values + 1));
                narrowing.certain.get_or_insert(Picked::NONE).push(self.rows.row(self.values + 2));
            }
        }
    }
}

/// The rows of the authentication contexts that policies speak of; the first is for all others.
#[derive(Debug)]
struct Contexts {
    rows: Rows,
    known: Vec<AuthenticationContext>,
}

impl Contexts {
    fn new(set: &PolicySet, layout: &Layout) -> Option<Self> {
        let targets = set.policies.iter().map(|policy| &policy.targets);
        let mut known: Vec<_> = targets
            .filter_map(|targets| match targets {
                Targets::Contexts(contexts) => Some(contexts),
                Targets::Apps(_) => None,
            })
            .flatten()
            .copied()
            .collect();
        known.sort_unstable();
        known.dedup();
        // A policy about no context at all still needs the row that rules it out.
        if !set.policies.iter().any(|policy| matches!(policy.targets, Targets::Contexts(_))) {
            return None;
        }
        let mut rows = Rows::new(layout.words());
        for asked in core::iter::once(None).chain(known.iter().map(Some)) {
            let mut row: Vec<u64> = alloc::vec![0; layout.words()];
            for (bit, policy) in layout.policies(set) {
                let meant = match &policy.targets {
                    Targets::Apps(_) => true,
                    Targets::Contexts(contexts) => asked.is_some_and(|asked| contexts.contains(asked)),
                };
                if meant {
                    set_bit(&mut row, bit);
                }
            }
            rows.push(&row);
        }
        Some(Self { rows, known })
    }

    fn row(&self, asked: Option<AuthenticationContext>) -> &[u64] {
        let position = asked.and_then(|asked| self.known.binary_search(&asked).ok());
        self.rows.row(position.map_or(0, |position| position + 1))
    }
}

impl Facts {
    pub(super) fn new(set: &PolicySet, layout: &Layout) -> Self {
        let risk = |of: fn(&Conditions) -> Option<RiskSet>| {
            Table::new(set, layout, &RiskLevel::ALL, move |conditions, seen| {
                Some(matching::risk(of(conditions)?, seen))
            })
        };
        Self {
            contexts: Contexts::new(set, layout),
            client_app: Table::new(set, layout, &ClientAppType::ALL, |conditions, seen| {
                Some(matching::client_app(conditions.client_apps?, seen))
            }),
            platform: Table::new(set, layout, &Platform::ALL, |conditions, seen| {
                Some(matching::platform(conditions.platforms.as_ref()?, seen))
            }),
            flow: Table::new(set, layout, &Flow::ALL, |conditions, seen| {
                Some(matching::flow(conditions.flows?, seen.known()))
            }),
            risks: [
                risk(|conditions| conditions.sign_in_risk),
                risk(|conditions| conditions.user_risk),
                risk(|conditions| conditions.insider_risk),
                risk(|conditions| conditions.service_principal_risk),
            ],
            places: Places::new(set, layout),
        }
    }

    /// The rows of this request.
    #[inline]
    pub(crate) fn narrow<'p>(&'p self, signals: &Signals<'_>) -> Narrowing<'p> {
        let context = signals.context;
        let mut narrowing = Narrowing { possible: Picked::NONE, certain: None, places: None };
        if let Some(contexts) = &self.contexts {
            narrowing.possible.push(contexts.row(signals.target.context));
        }
        if let Some(table) = &self.client_app {
            table.narrow(&mut narrowing, position(context.client_app, |kind| kind as usize));
        }
        if let Some(table) = &self.platform {
            table.narrow(&mut narrowing, position(context.platform, |platform| platform as usize));
        }
        if let Some(table) = &self.flow {
            let used = signals.principal.sign_in.flow.map_or(Fact::Unknown, Fact::Known);
            table.narrow(&mut narrowing, position(used, |flow| flow as usize));
        }
        for (table, risk) in self.risks.iter().zip(risks(context)) {
            if let Some(table) = table {
                table.narrow(&mut narrowing, position(risk, |level| level as usize));
            }
        }
        if let Some(places) = &self.places {
            narrowing.places = Some(places.rows(context.address, context.country));
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
    possible: Picked<'p>,
    /// Rows of unavailable facts, if there are any: where the condition holds all the same.
    certain: Option<Picked<'p>>,
    places: Option<PlaceRows<'p>>,
}

impl Narrowing<'_> {
    /// The policies of one word whose conditions hold or may hold.
    #[inline]
    pub(crate) fn possible(&self, word: usize) -> u64 {
        let found = self.possible.and(word);
        match &self.places {
            Some(places) if found != 0 => found & places.possible(word),
            Some(_) | None => found,
        }
    }

    /// Of the possible ones, those whose conditions hold whatever the unavailable facts are.
    #[inline]
    pub(crate) fn certain(&self, word: usize) -> u64 {
        let found = self.certain.as_ref().map_or(u64::MAX, |rows| rows.and(word));
        match &self.places {
            Some(places) => found & places.certain(word),
            None => found,
        }
    }
}

/// One row for each fact: context, client app, platform, flow, four risks.
struct Picked<'p> {
    rows: [&'p [u64]; 8],
    len: usize,
}

impl<'p> Picked<'p> {
    const NONE: Self = Self { rows: [&[]; 8], len: 0 };

    #[inline]
    fn push(&mut self, row: &'p [u64]) {
        if let Some(place) = self.rows.get_mut(self.len) {
            *place = row;
            self.len += 1;
        }
    }

    /// A word that does not exist rules nothing out: a policy too many refuses more.
    #[inline]
    fn and(&self, word: usize) -> u64 {
        let rows = self.rows.iter().take(self.len);
        rows.fold(u64::MAX, |found, row| found & row.get(word).copied().unwrap_or(u64::MAX))
    }
}
