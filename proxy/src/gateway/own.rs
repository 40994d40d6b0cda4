//! Requests that we answer ourselves: their bodies, and their answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::STRICT_TRANSPORT_SECURITY;
use pingora::prelude::{Result, Session};

use super::downstream::{head, write};
use crate::authorize::RefusalPage;
use crate::exchange::{Progress, RequestContext};
use crate::own::{OWN_BODY_BYTES_MAX, Own, OwnPath, OwnRequest};
use crate::refusal::Refusal;
use crate::sign_in;

/// How long a body of ours may take: a form, or a token of a provider.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Answers a request of ours.
pub(super) async fn answer(session: &mut Session, ctx: &mut RequestContext, own: &OwnRequest) -> Result<()> {
    // What was meant for an app is not read.
    let is_ours = matches!(own.what, Own::Path(_)) && own.method == Method::POST;
    let body = if is_ours { body(session).await? } else { Ok(Bytes::new()) };
    let mut answer = match body {
        Ok(_) if own.what == Own::Path(OwnPath::Probe) => ctx.probe(own, &head(session.req_header())),
        Ok(_) if own.what == Own::Path(OwnPath::Refusal) => {
            match ctx.refusal_page(own, &head(session.req_header())) {
                RefusalPage::Answer(answer) => answer,
                RefusalPage::Own(own) => sign_in::answer(ctx.sign_in(), &own, Bytes::new()).await,
            }
        }
        Ok(body) => sign_in::answer(ctx.sign_in(), own, body).await,
        Err(refusal) => ctx.denial(&refusal, &head(session.req_header())),
    };
    if let Some((value, _)) = ctx.hsts() {
        answer.headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
    }
    ctx.progress = answer.refusal.map_or(Progress::Replied, Progress::Refused);
    ctx.bytes_beside = write(session, answer, body_is_left(&ctx.progress)).await?;
    Ok(())
}

/// Whether what follows on the connection is a body that nobody has read.
const fn body_is_left(progress: &Progress) -> bool {
    matches!(progress, Progress::Refused(Refusal::BodyTooLarge | Refusal::BodyTooSlow))
}

/// The body of a request to a path of ours, or why it is not taken.
async fn body(session: &mut Session) -> Result<Result<Bytes, Refusal>> {
    let read = async {
        let mut body = BytesMut::new();
        while let Some(piece) = session.read_request_body().await? {
            if body.len() + piece.len() > OWN_BODY_BYTES_MAX {
                return Ok(Err(Refusal::BodyTooLarge));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Ok(body.freeze()))
    };
    tokio::time::timeout(BODY_TIME, read).await.unwrap_or(Ok(Err(Refusal::BodyTooSlow)))
}
