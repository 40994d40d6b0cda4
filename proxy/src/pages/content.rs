//! What a page says, before it takes a form: HTML, JSON and plain text are made from the same [`Content`], so that none of
//! them says more than the others.

use crate::denial::escape::{Hole, is_own_address, is_web_address};
use crate::denial::headline::{Icon, Kind};
use crate::denial::texts::{Message, Texts};
use crate::refusal::{Blame, SignInFault, SignInTrouble};

use super::page::{Choice, FragmentStep, MePage, OwnPage, ProviderError, SignedOutThere};

/// Everything that one page may say.
#[derive(Debug)]
pub(super) struct Content<'p> {
    pub(super) status: u16,
    /// The page in a word, for programs.
    pub(super) kind: &'static str,
    /// Why a sign-in was not completed, where that is what the page is about.
    pub(super) fault: Option<SignInFault>,
    /// Whose turn or fault it is.
    pub(super) verdict: Option<Kind>,
    pub(super) headline: &'static Message,
    /// Who is signed in, said before the lead.
    pub(super) user: Option<&'p str>,
    pub(super) lead: &'static Message,
    /// The provider that headline and lead speak of.
    pub(super) provider: &'p str,
    /// Of the refusal that the lead speaks of.
    pub(super) reference: &'p str,
    pub(super) said: Option<&'p ProviderError>,
    pub(super) body: Body<'p>,
    pub(super) actions: Vec<Action<'p>>,
    /// Whether the page may be loaded again by a link to itself in another language.
    pub(super) can_be_asked_again: bool,
}

/// What one page has and no other.
#[derive(Debug)]
pub(super) enum Body<'p> {
    Nothing,
    /// And whether the fragment goes with the choice.
    Choices(&'p [Choice], bool),
    SignOut(Form<'p>),
    Me(&'p MePage, Form<'p>),
    Fragment(Fragment<'p>),
}

/// A form with one button, which signs out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'p> {
    pub(super) action: &'p str,
    /// Where its answer may lead beside this very host.
    pub(super) leads_to: Option<&'p str>,
}

/// What the script that keeps a fragment works with.
#[derive(Debug)]
pub(super) struct Fragment<'p> {
    pub(super) attempt: &'p str,
    pub(super) step: FragmentStep,
    pub(super) next: &'p str,
}

/// A link.
#[derive(Debug)]
pub(super) struct Action<'p> {
    pub(super) text: &'static Message,
    pub(super) href: &'p str,
    pub(super) tab: Tab,
}

/// Where a link opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    This,
    New,
}

impl<'p> Content<'p> {
    /// A page that fails or ends something: nothing but headline, lead and ways on.
    fn plain(
        status: u16,
        kind: &'static str,
        headline: &'static Message,
        lead: &'static Message,
        actions: Vec<Action<'p>>,
    ) -> Self {
        Self {
            status,
            kind,
            fault: None,
            verdict: None,
            headline,
            user: None,
            lead,
            provider: "",
            reference: "",
            said: None,
            body: Body::Nothing,
            actions,
            can_be_asked_again: false,
        }
    }

    pub(super) fn of(page: &'p OwnPage, texts: &'static Texts) -> Self {
        match page {
            OwnPage::Chooser { choices, keeps_fragment } => Self {
                body: Body::Choices(choices, *keeps_fragment),
                can_be_asked_again: true,
                ..Self::plain(200, "choose_provider", &texts.headline_choose, &texts.lead_choose, Vec::new())
            },
            OwnPage::SignInFailed { provider, fault, said, retry, choose } => {
                let mut actions = link(&texts.action_sign_in_again, retry);
                actions.extend(
                    choose.as_deref().map(|href| link(&texts.action_choose, href)).into_iter().flatten(),
                );
                Self { provider, said: said.as_ref(), ..Self::failed(*fault, texts, actions) }
            }
            OwnPage::CookiesBlocked { retry } => {
                Self::failed(SignInFault::CookiesBlocked, texts, link(&texts.action_sign_in_again, retry))
            }
            OwnPage::StaleLink { retry } => {
                Self::failed(SignInFault::StaleLink, texts, link(&texts.action_sign_in_again, retry))
            }
            OwnPage::LoopBroken { provider, fault, retry } => Self {
                provider,
                headline: &texts.headline_loop,
                lead: if *fault == SignInFault::CookiesBlocked {
                    &texts.lead_cookies
                } else {
                    &texts.lead_loop
                },
                ..Self::failed(*fault, texts, link(&texts.action_sign_in_again, retry))
            },
            OwnPage::FormNotSent { sign_in } => {
                let mut actions = link(&texts.action_new_tab, sign_in);
                actions.iter_mut().for_each(|action| action.tab = Tab::New);
                Self::plain(401, "sign_in_required", &texts.headline_form, &texts.lead_form, actions)
            }
            OwnPage::NotSignedIn { sign_in } => Self::plain(
                401,
                "sign_in_required",
                &texts.headline_sign_in,
                &texts.lead_sign_in,
                link(&texts.action_sign_in, sign_in),
            ),
            OwnPage::SignOut { action, user, leads_to } => Self {
                user: Some(user),
                body: Body::SignOut(Form { action, leads_to: leads_to.as_deref() }),
                can_be_asked_again: true,
                ..Self::plain(200, "sign_out", &texts.headline_sign_out, &texts.lead_sign_out, Vec::new())
            },
            OwnPage::SignedOut { sign_in, there } => {
                let (words, lead, provider) = match there {
                    SignedOutThere::NotAsked => (&texts.kind_signed_out, &texts.lead_signed_out, ""),
                    SignedOutThere::Ended => (&texts.kind_signed_out_everywhere, &texts.lead_signed_out, ""),
                    SignedOutThere::Unreached(provider) => {
                        (&texts.kind_signed_out, &texts.lead_signed_out_here, provider.as_str())
                    }
                };
                Self {
                    verdict: Some(Kind { words, icon: Icon::Door }),
                    provider,
                    can_be_asked_again: true,
                    ..Self::plain(
                        200,
                        "signed_out",
                        &texts.headline_signed_out,
                        lead,
                        link(&texts.action_sign_in_again, sign_in),
                    )
                }
            }
            OwnPage::Me(me) => {
                let other = me.other_account.as_deref();
                Self {
                    user: Some(&me.user),
                    body: Body::Me(me, Form { action: &me.sign_out, leads_to: me.leads_to.as_deref() }),
                    can_be_asked_again: true,
                    ..Self::plain(
                        200,
                        "me",
                        &texts.headline_me,
                        &texts.lead_me,
                        other
                            .map(|href| link(&texts.action_use_another_account, href))
                            .into_iter()
                            .flatten()
                            .collect(),
                    )
                }
            }
            OwnPage::Reported { reference } => Self {
                reference,
                ..Self::plain(200, "reported", &texts.headline_reported, &texts.lead_reported, Vec::new())
            },
            OwnPage::KeepFragment { attempt, step, next } => match Fragment::new(attempt, *step, next) {
                Some(fragment) => Self {
                    actions: vec![Action { text: &texts.action_continue, href: next, tab: Tab::This }],
                    body: Body::Fragment(fragment),
                    ..Self::plain(200, "continue", &texts.headline_continue, &texts.lead_continue, Vec::new())
                },
                None => Self::failed(SignInFault::Internal, texts, Vec::new()),
            },
        }
    }

    fn failed(fault: SignInFault, texts: &'static Texts, actions: Vec<Action<'p>>) -> Self {
        let (words, icon) = match fault.blame() {
            Blame::User => (&texts.kind_nobody, Icon::Key),
            Blame::Provider => (&texts.kind_provider, Icon::Fault),
            Blame::Configuration => (&texts.kind_configuration, Icon::Shield),
            Blame::Network => (&texts.kind_network, Icon::Fault),
            Blame::Us => (&texts.kind_us, Icon::Fault),
        };
        let (headline, lead) = words_of(fault, texts);
        Self {
            fault: Some(fault),
            verdict: Some(Kind { words, icon }),
            ..Self::plain(fault.status(), fault.info().error, headline, lead, actions)
        }
    }
}

/// Headline and lead of a fault.
fn words_of(fault: SignInFault, texts: &'static Texts) -> (&'static Message, &'static Message) {
    let failed = &texts.headline_sign_in_failed;
    match fault.trouble() {
        SignInTrouble::OldLink => (&texts.headline_stale, &texts.lead_stale),
        SignInTrouble::NoCookies => (&texts.headline_cookies, &texts.lead_cookies),
        SignInTrouble::NotKept => (&texts.headline_loop, &texts.lead_loop),
        SignInTrouble::Ended => (failed, &texts.lead_cancelled),
        SignInTrouble::ProviderError => (failed, &texts.lead_provider_error),
        SignInTrouble::Answer => (failed, &texts.lead_provider_answer),
        SignInTrouble::NotDelivered => (failed, &texts.lead_not_delivered),
        SignInTrouble::Configuration => (failed, &texts.lead_configuration),
        SignInTrouble::NoAnswer => (failed, &texts.lead_unreachable),
        SignInTrouble::Store => (failed, &texts.lead_store),
        SignInTrouble::Internal => (&texts.headline_fault, &texts.lead_no_fault_of_yours),
    }
}

/// A link, or none where the address could be no link.
fn link<'p>(text: &'static Message, href: &'p str) -> Vec<Action<'p>> {
    Action::is_link(href).then_some(Action { text, href, tab: Tab::This }).into_iter().collect()
}

/// The longest address that a browser is sent to, in bytes: a request of a sign-in is long.
const LINK_BYTES_MAX: usize = 8 << 10;

impl Action<'_> {
    /// Whether the page may lead there: a path on this very host, or an absolute `http(s)` address.
    pub(super) fn is_link(href: &str) -> bool {
        href.len() <= LINK_BYTES_MAX && (is_own_address(href) || is_web_address(href))
    }
}

impl<'p> Fragment<'p> {
    /// `None` for an attempt that could be something else than an id, and for an address that is none of its step: the
    /// script appends the fragment, so that the address must not have one.
    fn new(attempt: &'p str, step: FragmentStep, next: &'p str) -> Option<Self> {
        let is_id = (1..=128).contains(&attempt.len())
            && attempt.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let fits = match step {
            FragmentStep::Save => is_web_address(next),
            FragmentStep::Restore => is_own_address(next),
        };
        (is_id && fits && next.len() <= LINK_BYTES_MAX && !next.contains('#')).then_some(Self {
            attempt,
            step,
            next,
        })
    }
}

/// Values of the holes of headline, lead and sentences.
impl Content<'_> {
    pub(super) fn holes(&self) -> [(Hole, &str); 3] {
        [
            (Hole::Provider, self.provider),
            (Hole::Reference, self.reference),
            (Hole::User, self.user.unwrap_or_default()),
        ]
    }
}
