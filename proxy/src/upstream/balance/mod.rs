//! Which of an app's servers takes a request. No lock, and no more work than there are servers.
//!
//! Whatever the policy, a server that failed the request is not asked again while another is there, one that is left
//! out is asked only when all are, and one of weight 0 only where a cookie names it.

mod affinity;
mod hashing;
mod schedule;

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_config::settings::Balance;

pub(crate) use affinity::{Affinity, Asking, Sticky};

use self::hashing::Key;
use self::schedule::Schedule;
use super::address::Address;
use super::endpoint::Endpoint;
use super::health;

/// How often a server is chosen and turns out to be tried by somebody else, before all count as left out.
const TRIALS_MAX: usize = 3;

/// The servers of an app that can be asked, one for each address.
#[derive(Debug, Default)]
pub(super) struct Pool {
    members: Vec<Member>,
    schedule: Schedule,
}

#[derive(Debug)]
struct Member {
    endpoint: Arc<Endpoint>,
    weight: u32,
    /// The server as it is configured; the same for all its addresses.
    server: Key,
    /// What all addresses of the server weigh.
    server_weight: u32,
    /// The address of the server.
    address: Key,
}

impl Pool {
    /// The pool of an app, of endpoints with their weights.
    pub(super) fn new(app: &str, endpoints: impl IntoIterator<Item = (Arc<Endpoint>, u16)>) -> Self {
        let mut members: Vec<Member> = endpoints
            .into_iter()
            .map(|(endpoint, weight)| Member {
                weight: weight.into(),
                server: Key::of(&[app.as_bytes(), endpoint.server.as_bytes()]),
                server_weight: 0,
                address: Key::of_address(app, &endpoint),
                endpoint,
            })
            .collect();
        let mut of_servers: BTreeMap<String, u32> = BTreeMap::new();
        for member in &members {
            *of_servers.entry(member.endpoint.server.to_string()).or_default() += member.weight;
        }
        for member in &mut members {
            member.server_weight = of_servers.get(&*member.endpoint.server).copied().unwrap_or_default();
        }
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        Self { members, schedule: Schedule::new(&weights) }
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.members.iter().map(|member| &member.endpoint)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Arc<Endpoint>> {
        self.members.get(at).map(|member| &member.endpoint)
    }

    /// Whether there is a server that has not failed the request.
    pub(super) fn has_another(&self, tried: &[Address]) -> bool {
        self.members.iter().any(|member| member.weight > 0 && !tried.contains(&member.endpoint.address))
    }

    /// Whether all addresses get requests, because fewer are up than so many percent, or none.
    pub(super) fn panics(&self, percent: u8) -> bool {
        health::panics(self.endpoints().filter(|one| one.would_take()).count(), self.members.len(), percent)
    }

    /// The place of the server that takes a request. `tried` are the addresses that failed it already; with fewer up
    /// than `panic_percent`, all take requests.
    pub(super) fn choose(
        &self,
        balance: &Balance,
        affinity: Affinity,
        (tried, panic_percent): (&[Address], u8),
    ) -> Option<usize> {
        if self.members.len() <= 1 {
            return self.members.first().map(|_| 0);
        }
        let panics = panic_percent > 0 && self.panics(panic_percent);
        if let Affinity::Server { address, .. } = affinity {
            let named = self.members.iter().position(|member| member.address == address);
            let takes = |member: &Member| {
                !tried.contains(&member.endpoint.address) && (panics || member.endpoint.takes_requests())
            };
            if let Some(at) = named.filter(|at| self.members.get(*at).is_some_and(takes)) {
                return Some(at);
            }
        }
        let has_weight = |at: usize| self.members.get(at).is_some_and(|member| member.weight > 0);
        let is_fresh = |at: usize| {
            let fresh = |member: &Member| !tried.contains(&member.endpoint.address);
            has_weight(at) && self.members.get(at).is_some_and(fresh)
        };
        let looks_well = |at: usize| is_fresh(at) && self.get(at).is_some_and(|one| one.would_take());
        let mut taken = [None; TRIALS_MAX];
        for slot in 0..if panics { 0 } else { TRIALS_MAX } {
            let usable = |at: usize| looks_well(at) && !taken.contains(&Some(at));
            let Some(at) = self.preferred(balance, affinity, usable) else { break };
            // One that was left out is tried by one request at a time.
            if self.get(at).is_some_and(|one| one.takes_requests()) {
                return Some(at);
            }
            if let Some(slot) = taken.get_mut(slot) {
                *slot = Some(at);
            }
        }
        let preferred = |usable: &dyn Fn(usize) -> bool| self.preferred(balance, affinity, usable);
        preferred(&is_fresh).or_else(|| preferred(&has_weight))
    }

    /// The server that the policy prefers, of those that can be used.
    fn preferred(
        &self,
        balance: &Balance,
        affinity: Affinity,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match (balance, affinity) {
            (Balance::RoundRobin, _) => self.schedule.next(usable),
            (Balance::ConsistentHash(_), Affinity::Key(key)) => self.highest(key, usable),
            (Balance::LeastRequests | Balance::ConsistentHash(_) | Balance::Sticky { .. }, _) => {
                self.least(usable)
            }
        }
    }

    /// The one with the fewest requests under way for its weight; of several, the next in turn.
    fn least(&self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let load = |at: usize| {
            let member = self.members.get(at)?;
            Some((u64::from(member.endpoint.outstanding().count()), u64::from(member.weight.max(1))))
        };
        let fewer = |a: (u64, u64), b: (u64, u64)| a.0 * b.1 < b.0 * a.1;
        let mut least = None;
        for at in (0..self.members.len()).filter(|at| usable(*at)) {
            if let Some(load) = load(at)
                && least.is_none_or(|least| fewer(load, least))
            {
                least = Some(load);
            }
        }
        let least = least?;
        self.schedule.next(|at| usable(at) && load(at).is_some_and(|load| !fewer(least, load)))
    }

    /// The server that the key falls to, and of its addresses that one.
    fn highest(&self, key: Key, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let draws =
            |member: &Member| (key.draw(member.server, member.server_weight), key.draw(member.address, 1));
        let members = self.members.iter().enumerate().filter(|(at, _)| usable(*at));
        let draws = members.map(|(at, member)| (at, draws(member)));
        let highest = draws.max_by(|(_, (a, a2)), (_, (b, b2))| a.total_cmp(b).then(a2.total_cmp(b2)));
        highest.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests;
