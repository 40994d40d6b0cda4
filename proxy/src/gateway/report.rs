//! A user reports a refusal from its page: one line of the decision log says so, by the id of the refused request. There is
//! nothing to describe and nothing to attach; whoever looks the reference up finds everything else.

use std::time::Duration;

use http::header::STRICT_TRANSPORT_SECURITY;
use pingora::prelude::{Error, ErrorType, Result, Session};
use portcullis_config::settings::Rate;

use super::downstream::{head, write};
use super::wait::{page, stranger};
use crate::denial::RequestHints;
use crate::exchange::{Progress, RequestContext};
use crate::pages::{OwnPage, PageRequest};
use crate::reference::Reference;
use crate::refusal::{Refusal, Sender};
use crate::wait::Answer;
use crate::waiting::{Group, WaitHandle};

/// How often one user may report refusals of one app: each is a line that somebody reads.
const RATE: Rate = Rate { count: 6, per: Duration::from_secs(60), burst: 6 };

/// Answers a report.
pub(super) async fn answer(
    session: &mut Session,
    ctx: &mut RequestContext,
    handle: WaitHandle,
) -> Result<()> {
    let Some(connection) = ctx.connection else { return Err(Error::new(ErrorType::InternalError)) };
    let page = page(session, ctx, connection, handle);
    let refused = match page.answer(ctx.state).await {
        // Whether it would be refused still is not what is asked.
        Answer::Still | Answer::ComeIn => is_too_much(ctx, page.handle()),
        Answer::Foreign => Some(stranger(session, ctx)),
    };
    let head = head(session.req_header());
    let mut answer = if let Some(refusal) = refused {
        ctx.progress = Progress::Refused(refusal);
        ctx.denial(&refusal, &head)
    } else {
        let reported = page.handle().request_id();
        ctx.state.metrics.waiting.reported();
        ctx.reports = Some(reported);
        ctx.progress = Progress::Replied;
        let shown = PageRequest { request_id: ctx.request_id.0, now_unix_ms: ctx.now_unix_ms() };
        let own = OwnPage::Reported { reference: Reference::of(reported).to_string() };
        ctx.snapshot.pages.answer(&RequestHints::read(&head), shown, &own)
    };
    if let Some((value, _)) = ctx.hsts() {
        answer.headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
    ctx.bytes_beside = write(session, answer, false).await?;
    Ok(())
}

fn is_too_much(ctx: &RequestContext, handle: &WaitHandle) -> Option<Refusal> {
    let quota = ctx.state.limits.count_report(&Group::of(handle), RATE, ctx.now_unix_ms());
    quota.is_exceeded.then_some(Refusal::TooManyRequests(Sender::Principal))
}
