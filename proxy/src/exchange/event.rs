//! The end of a request as metrics, decision log and access log have it.

use std::net::IpAddr;

use http::{HeaderName, Version};
use portcullis_config::settings::AccessFormat;
use portcullis_policy::decision::PolicyResult;
use portcullis_policy::model::{ClientAppType, Platform};

use super::RequestContext;
use super::progress::{CLIENT_CLOSED_REQUEST, Progress};
use crate::admit::{self, Head};
use crate::clock;
use crate::record::field::{self, NAME_MAX, VALUE_MAX, field, short};
use crate::record::{Access, AppliedPolicy, Ended, Entry, FrontProxy, Outcome, Traffic, UserHash};
use crate::refusal::{BadRequest, Refusal};

impl RequestContext {
    /// Reports to metrics and logs how the request ended; once.
    pub(super) fn record(&mut self, outcome: Outcome, refusal: Option<&Refusal>, head: Option<&Head<'_>>) {
        if std::mem::replace(&mut self.is_recorded, true) {
            return;
        }
        let stage = match self.progress {
            Progress::Aborted(_, stage) => Some(stage),
            Progress::Received | Progress::Refused(_) | Progress::Replied | Progress::Permitted(_) => None,
        };
        self.state.metrics.cut.ended(self.app().map(|app| &*app.id));
        self.app_metrics().ended(Ended {
            outcome,
            refusal,
            stage,
            traffic: self.traffic,
            took: self.started.elapsed(),
            request_id: self.request_id.0,
            unix_ms: self.now_unix_ms,
            user: self.facts.caller.as_ref().map(|caller| UserHash::of(&caller.token().principal().id)),
        });
        let log = &self.state.log;
        if let Some(head) = head
            && let Some(format) = log.access()
        {
            log.push_access(self.access(outcome, refusal, head, format));
        }
        let noteworthy = refusal.is_some()
            || self.reports.is_some()
            || log.samples(self.request_id.0)
            || self.facts.decision.applied.iter().any(|(_, result)| {
                matches!(result, PolicyResult::ReportOnlyFailure | PolicyResult::ReportOnlyInterrupted)
            });
        let repetition = self.facts.decision.repetition.unwrap_or_default();
        if noteworthy && repetition.same_as.is_some() {
            log.skip();
        } else if noteworthy && log.is_on() {
            log.push(self.entry(outcome, refusal, head));
        }
    }

    /// Whether the client was sent the head of an answer and less than all of it, which its status does not say.
    const fn is_truncated(&self) -> bool {
        self.forwarding.is_truncated && self.traffic.status.is_some()
    }

    /// The server to which it was sent last, as the configuration names it.
    fn server(&self) -> Option<String> {
        let server = self.endpoint().map(|endpoint| &endpoint.server).or(self.forwarding.server.as_ref());
        server.map(|server| server.to_string())
    }

    /// The status that the client was sent, or would have been.
    fn status(&self, refused: Option<u16>) -> Option<u16> {
        let refused = refused.filter(|_| !self.is_truncated());
        let aborted = matches!(self.progress, Progress::Aborted(..)).then_some(CLIENT_CLOSED_REQUEST);
        refused.or(self.traffic.status).or(aborted)
    }

    /// The client's address: of a request that was not admitted that of its connection, and none where the trusted
    /// proxies know none, whose own address is not the client's.
    fn client(&self) -> Option<IpAddr> {
        match self.facts.site {
            Some(_) => self.facts.client,
            None => {
                self.connection.filter(|connection| !connection.is_unknown).map(|connection| connection.peer)
            }
        }
    }

    /// The person or program, as `decision-log.subject` says.
    fn subject(&self) -> Option<String> {
        let caller = self.facts.caller.as_ref()?;
        let how = self.snapshot.config.server.decision_subject;
        self.snapshot.denials.subject(how, &caller.token().principal().id)
    }

    /// The request's line in the access log.
    fn access(
        &self,
        outcome: Outcome,
        refusal: Option<&Refusal>,
        head: &Head<'_>,
        format: AccessFormat,
    ) -> Access {
        let agent = head.hint_bytes(&http::header::USER_AGENT);
        let Traffic { status, bytes_in, bytes_out, .. } = self.traffic;
        let begun_unix_ms = self.begun_unix_ms();
        Access {
            created_date_time: clock::timestamp(begun_unix_ms),
            unix_secs: begun_unix_ms.div_euclid(1_000),
            request_id: self.id_text(),
            outcome: outcome.as_str(),
            reason: refusal.map(Refusal::reason),
            ip_address: self.client().map(|client| client.to_string()),
            user_id: self.subject().map(|user| short(&user, VALUE_MAX)),
            app_id: self.app().map(|app| app.id.clone()),
            host: head.host().map(field::host).unwrap_or_default(),
            method: field(head.method.as_str().as_bytes(), NAME_MAX),
            path: field::path(head.target),
            protocol: match head.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                _ => "HTTP/1.1",
            },
            // What was sent; a stream that was cut in the middle had been answered.
            status: status.or(self.status(refusal.map(|refusal| refusal.info().status))).unwrap_or(0),
            bytes_in,
            bytes_out,
            answer_truncated: self.is_truncated(),
            duration_ms: self.started.elapsed().as_micros() as f64 / 1_000.0,
            upstream_server: self.server(),
            upstream_attempts: Some(self.forwarding.attempts).filter(|attempts| *attempts > 0),
            user_agent: agent.map(|agent| field(agent, VALUE_MAX)),
            format,
        }
    }

    /// When the request arrived; `now_unix_ms` moves on while it lasts.
    fn begun_unix_ms(&self) -> i64 {
        // The first 48 bits of a version 7 UUID are its time (RFC 9562, section 5.7).
        i64::try_from(self.request_id.0 >> 80).unwrap_or(0)
    }

    /// The field for which a request is refused that another proxy would have let in with it.
    fn passes_on(&self) -> Option<&HeaderName> {
        self.asked.as_ref()?.passes_on.get()
    }

    /// The request's line in the decision log. Takes the record, which is not needed after that.
    fn entry(&mut self, outcome: Outcome, refusal: Option<&Refusal>, head: Option<&Head<'_>>) -> Entry {
        let record = self.facts.decision.record.take();
        let facts = &self.facts;
        let info = refusal.map(Refusal::info);
        let reasons = match refusal {
            Some(Refusal::Policy(refused, _)) => {
                refused.reasons.iter().map(|reason| reason.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let user = self.subject();
        let record = record.map(|mut record| {
            record.user = record.user.and_then(|_| user.clone());
            record
        });
        let policies = &self.snapshot.policies.set().policies;
        let applied = facts.decision.applied.iter().filter_map(|(at, result)| {
            let policy = policies.get(at.0 as usize)?;
            let digest = self.snapshot.denials.digest_of(*at);
            let digest =
                digest.map(|digest| format!("{:08x}", u32::from_be_bytes(digest))).unwrap_or_default();
            Some(AppliedPolicy { id: policy.id.to_string(), result: result.as_str(), digest })
        });
        let device = facts.caller.as_ref().and_then(|caller| caller.token().device());
        // An earlier attempt may have failed of a request that was answered.
        let is_of_app = matches!(refusal, Some(Refusal::Upstream { .. }));
        let cause = self.forwarding.failure.filter(|_| is_of_app);
        Entry {
            version: 1,
            created_date_time: clock::timestamp(self.now_unix_ms),
            request_id: self.id_text(),
            outcome: outcome.as_str(),
            reason: refusal.map(Refusal::reason),
            error_code: info.map(|info| info.code).filter(|code| *code != 0),
            status: self.status(info.map(|info| info.status)),
            answer_truncated: self.is_truncated(),
            upstream_failure: cause.map(|cause| cause.as_str()),
            upstream_server: self.server(),
            upstream_attempts: Some(self.forwarding.attempts).filter(|attempts| *attempts > 0),
            reasons,
            app_id: self.app().map(|app| app.id.clone()),
            user_id: user.map(|user| short(&user, VALUE_MAX)),
            // Of a request that was not admitted, only the connection is known.
            ip_address: self.client().map(|client| client.to_string()),
            country: facts.country.known().map(|country| country.as_str().to_owned()),
            device_platform: facts.platform.map(Platform::as_str),
            client_app_used: facts.client_app.map(ClientAppType::as_str),
            device_id: device.and_then(|device| device.device_id).map(|id| short(id, VALUE_MAX)),
            client_certificate: self
                .arrival
                .handshake
                .as_ref()
                .and_then(|handshake| handshake.serial())
                .map(|serial| short(serial, VALUE_MAX)),
            carrier: facts.caller.as_ref().map(|_| match &facts.session {
                Some(_) => "session",
                None => "token",
            }),
            session_id: facts.session.as_ref().map(|session| session.public_id().to_owned()),
            device_compliant: device.and_then(|device| device.compliant),
            forward_auth: self.asked.as_ref().map(|asked| FrontProxy {
                protocol: asked.protocol.as_str(),
                proxy: asked.peer.map(|peer| peer.to_string()),
            }),
            sign_in_failure: self.sign_in_failure.get().cloned(),
            reports: self.reports.map(|id| uuid::Uuid::from_u128(id).to_string()),
            at_fault: match (refusal, head) {
                (Some(Refusal::BadRequest(BadRequest::Description)), _) => {
                    let bad = self.asked.as_ref().and_then(|asked| asked.described.as_ref().err());
                    bad.map(|bad| bad.field.to_owned())
                }
                (Some(Refusal::BadRequest(BadRequest::Header)), _) if self.passes_on().is_some() => {
                    self.passes_on().map(|name| field(name.as_str().as_bytes(), NAME_MAX))
                }
                (Some(Refusal::BadRequest(bad)), Some(head)) => {
                    let header = self.snapshot.config.trusted_proxies.header;
                    let name = admit::at_fault(*bad, head, header);
                    Some(field(name.as_bytes(), NAME_MAX))
                }
                _ => None,
            },
            host: head.and_then(Head::host).map(field::host),
            method: head.map(|head| field(head.method.as_str().as_bytes(), NAME_MAX)),
            path: head.map(|head| field::path(head.target)),
            policy_generation: self.snapshot.generation.0,
            policies_digest: hex(self.snapshot.denials.policies_digest()),
            repeats: facts.decision.repetition.unwrap_or_default().repeats,
            facts: record,
            applied_conditional_access_policies: applied.collect(),
        }
    }
}

fn hex(digest: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(digest))
}
