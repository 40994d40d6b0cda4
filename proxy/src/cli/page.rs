//! `portcullis page`: every denial page of a configuration, and those around signing in, as files, to look at and to check before
//! any user meets them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;
use http::header::CONTENT_SECURITY_POLICY;
use portcullis_config::output;
use portcullis_config::settings::{Disclosure, LANGUAGES};
use portcullis_policy::decision::{PolicyIndex, PolicyResult};
use portcullis_policy::model::{ClientAppType, CountryCode, Platform};
use portcullis_policy::signals::AppIndex;

use super::own_pages;
use super::page_scenes::{self, Scene};
use super::terminal::{self, Failure};
use crate::decision_record::DecisionRecord;
use crate::denial::{Denials, Facts, OwnSignIn, RequestHints};
use crate::pages::{PageRequest, Pages};

/// What to render, and where to.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only pages with this code.
    #[arg(long)]
    code: Option<u32>,
    /// Only this language.
    #[arg(long, value_parser = language)]
    lang: Option<&'static str>,
    /// The folder for the pages.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

fn language(text: &str) -> Result<&'static str, String> {
    let known = LANGUAGES.iter().copied().find(|known| known.eq_ignore_ascii_case(text));
    known.ok_or_else(|| format!("there are {}", LANGUAGES.join(", ")))
}

/// The request that previews are about.
const REQUEST_ID: u128 = 0x0193_7e2a_1b2c_7d3e_8f40_5162_7384_95a6;
/// The time that previews show, Unix milliseconds: the same in each, so that they can be compared.
const NOW_UNIX_MS: i64 = 1_795_487_466_123;
/// As long as what a page waits by.
const HANDLE: &str = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdEfGhIjKl";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = crate::state::read(&arguments.config)?;
    let denials = Denials::new(&config, 1);
    let app = config.apps.first();
    let record = DecisionRecord {
        app: app.map(|app| app.id.clone()).unwrap_or_default(),
        auth_time: Some(NOW_UNIX_MS / 1_000 - 1_180),
        ..DecisionRecord::default()
    };
    fs::create_dir_all(&arguments.out)?;
    // Every policy with words of its own is shown to have refused, so that its words can be read.
    let said = config.denial.policies.iter().zip(0_u32..).filter(|(said, _)| said.message.is_some());
    let applied: Vec<_> = said.map(|(_, at)| (PolicyIndex(at), PolicyResult::Failure)).collect();
    let mut index = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<title>Denial pages</title>\n<h1>Denial pages</h1>\n<ul>\n",
    );
    let mut count = 0_u32;
    let wanted = |scene: &&Scene| arguments.code.is_none_or(|code| code == scene.refusal.info().code);
    for scene in page_scenes::all().iter().filter(wanted) {
        let remedies = scene.remedies();
        let own_sign_in = OwnSignIn { return_to: Some(b"/"), has_session: true };
        let facts = Facts {
            app_index: Some(AppIndex(0)),
            app: app.map(|app| (app.id.as_str(), app.name.as_str())),
            user: Some("kari.nordmann@example.com"),
            client: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
            country: CountryCode::new("NO"),
            platform: Some(Platform::Windows),
            client_app: Some(ClientAppType::Browser),
            device: scene.device,
            device_os: Some("Windows"),
            os_version: Some("10.0.22631"),
            remedies: Some(&remedies),
            sign_in_url: app.and_then(|app| app.sign_in_url.as_deref()),
            own_sign_in: app.filter(|app| !app.sign_in.is_empty()).map(|_| own_sign_in),
            step_up_not_delivered: scene.not_delivered,
            applied: &applied,
            repeats: Some(scene.repeats),
            record: Some(&record),
            wait: Some(HANDLE),
            report: Some(HANDLE),
            ..Facts::of_request(REQUEST_ID, NOW_UNIX_MS)
        };
        for lang in LANGUAGES.iter().filter(|lang| arguments.lang.is_none_or(|wanted| wanted == **lang)) {
            let hints = hints(lang);
            for (shown, disclosure) in [
                ("minimal", Disclosure::Minimal),
                ("standard", Disclosure::Standard),
                ("full", Disclosure::Full),
            ] {
                let answer = denials.render_at(&scene.refusal, &facts, &hints, disclosure);
                // What the page may load and run; a server of the folder sends it along.
                if let Some(policy) = answer.headers.get(CONTENT_SECURITY_POLICY) {
                    let file = format!("{}.{shown}.policy.txt", scene.name);
                    output::write(&arguments.out.join(file), policy.as_bytes())?;
                }
                let file = format!("{}.{lang}.{shown}.html", scene.name);
                output::write(&arguments.out.join(&file), &answer.body)?;
                index.push_str(&format!("<li><a href=\"{file}\">{file}</a></li>\n"));
                count += 1;
            }
        }
    }
    if arguments.code.is_none() {
        let pages = Pages::new(&config);
        let at = PageRequest { request_id: REQUEST_ID, now_unix_ms: NOW_UNIX_MS };
        for (name, page) in own_pages::all() {
            for lang in LANGUAGES.iter().filter(|lang| arguments.lang.is_none_or(|wanted| wanted == **lang)) {
                let answer = pages.answer(&hints(lang), at, &page);
                // Each has its own, for what it runs and where its form leads.
                if let Some(policy) = answer.headers.get(CONTENT_SECURITY_POLICY) {
                    output::write(&arguments.out.join(format!("own-{name}.policy.txt")), policy.as_bytes())?;
                }
                let file = format!("own-{name}.{lang}.html");
                output::write(&arguments.out.join(&file), &answer.body)?;
                index.push_str(&format!("<li><a href=\"{file}\">{file}</a></li>\n"));
                count += 1;
            }
        }
    }
    if count == 0 {
        return Err("no page has this code".into());
    }
    index.push_str("</ul>\n</html>\n");
    output::write(&arguments.out.join("index.html"), index)?;
    terminal::print(&format!("{count} pages in {}", terminal::shown(&arguments.out)));
    Ok(())
}

const fn hints(lang: &str) -> RequestHints<'_> {
    RequestHints {
        method: "GET",
        is_upgrade: false,
        accept: None,
        query: None,
        accept_language: Some(lang),
        sec_fetch_mode: Some("navigate"),
        sec_fetch_dest: None,
        x_requested_with: None,
        hx_request: false,
        content_type: None,
        user_agent: None,
        ..RequestHints::EMPTY
    }
}
