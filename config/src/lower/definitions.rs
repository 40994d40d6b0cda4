//! Everything that policies may refer to, and the references that no file has resolved yet.

use portcullis_policy::model::AuthenticationContext;

use super::context::Context;
use super::interner::Interners;
use super::names::Names;
use super::proof::Proofs;
use crate::diagnose::At;
use crate::settings::Claims;

/// Everything that policies may refer to.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) locations: Names,
    pub(super) strengths: Names,
    pub(super) apps: Names,
    pub(super) app_groups: Names,
    pub(super) policies: Names,
    pub(super) has_geo: bool,
    pub(super) claims: Vec<Claims>,
    /// Authentication contexts that some app asks for.
    pub(super) contexts: Vec<AuthenticationContext>,
    /// Where each app names its upstreams.
    pub(super) upstreams: Vec<At>,
    /// What tokens can prove, and what policies ask them to.
    pub(super) proofs: Proofs,
    pub(super) interners: Interners,
    /// Names that policies use and no file has defined so far; a later file may.
    unresolved: Vec<UnresolvedRef>,
}

/// A name that a policy uses and that some file must define.
#[derive(Debug)]
struct UnresolvedRef {
    kind: Referent,
    name: String,
    at: At,
    why: &'static str,
}

/// What a policy may name before a file defines it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Referent {
    Location,
    Strength,
}

impl Definitions {
    const fn names(&self, kind: Referent) -> &Names {
        match kind {
            Referent::Location => &self.locations,
            Referent::Strength => &self.strengths,
        }
    }

    /// Notes that a policy uses a name.
    pub(super) fn reference(&mut self, kind: Referent, name: &str, at: At, why: &'static str) {
        if !self.names(kind).contains(name) {
            self.unresolved.push(UnresolvedRef { kind, name: name.to_owned(), at, why });
        }
    }

    /// Reports each name that no file defines.
    pub(super) fn report_unresolved(&self, cx: &mut Context<'_>) {
        for UnresolvedRef { kind, name, at, why } in &self.unresolved {
            let names = self.names(*kind);
            let (code, title) = match kind {
                Referent::Location => ("location/unknown", "named location"),
                Referent::Strength => ("strength/unknown", "authentication strength"),
            };
            if !names.contains(name) {
                names.unknown(cx, code, title, name, *at, why);
            }
        }
    }
}
