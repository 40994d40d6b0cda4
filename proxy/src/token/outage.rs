//! Key sources that fail, lie or send us elsewhere, over real sockets.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_config::settings::KeySource;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::fetch::{FetchError, Fetcher};
use super::fixtures::{EC, ISSUER, RSA, install, issuer, now, set, token};
use super::jwk::KeySetError;
use super::keys::KeyStore;
use super::verify::{TokenProblem, Verifier};
use crate::failure::NetworkFailure;

/// Serves one answer to any request until the runtime ends; returns its address.
async fn serve(head: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(answer(listener, head, body));
    format!("http://{address}")
}

async fn answer(listener: TcpListener, head: &'static str, body: Vec<u8>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut request = [0; 2048];
        let _ = socket.read(&mut request).await;
        let _ = socket.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        let _ = socket.write_all(&body).await;
    }
}

async fn fetch(source: KeySource) -> Result<usize, FetchError> {
    install();
    Fetcher::new(ISSUER.into(), None).keys(&source).await.map(|document| document.body.len())
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come about");
}

/// Waits without ever being idle; sockets go on, a paused clock does not.
async fn busily_until(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "it did not come about");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_issuer_that_is_unreachable_at_first_recovers_by_itself() {
    install();
    // Bound, and nobody listens there until it is told to.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let settings = issuer("main", ISSUER, KeySource::Url(format!("http://{address}/keys")));
    let store = Arc::new(KeyStore::new(&settings));
    let verifier = Verifier::new(&[settings], vec![Arc::clone(&store)]);
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&store).run(shutdown));
    until(|| store.failures() > 0).await;
    assert_eq!(verifier.verify(&token(|_| {}), &[0], now()).err(), Some(TokenProblem::KeysUnavailable));
    assert_eq!(store.last_error(), Some(FetchError::Unreachable(NetworkFailure::Refused)));

    let before = now();
    let listener = socket.listen(16).unwrap();
    tokio::spawn(answer(listener, "200 OK", set(&[RSA.jwk("rsa")]).body));
    until(|| store.keys() == 1).await;
    assert!(verifier.verify(&token(|_| {}), &[0], now()).is_ok());
    assert!(store.age_secs(now()).unwrap() <= u64::try_from(now() - before).unwrap());
    // And once nobody renews them, they are not trusted for ever.
    let late = now() + 7300;
    let fresh = token(|claims| claims["exp"] = json!(late + 60));
    assert_eq!(verifier.verify(&fresh, &[0], late).err(), Some(TokenProblem::KeysUnavailable));
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(2), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_cannot_send_us_elsewhere_or_too_much() {
    let good = serve("200 OK", set(&[RSA.jwk("rsa")]).body).await;
    assert!(fetch(KeySource::Url(good)).await.is_ok());
    let moved = serve("302 Found\r\nLocation: http://127.0.0.1:9/", Vec::new()).await;
    assert_eq!(fetch(KeySource::Url(moved)).await, Err(FetchError::Status(302)));
    let broken = serve("500 No", set(&[RSA.jwk("rsa")]).body).await;
    assert_eq!(fetch(KeySource::Url(broken)).await, Err(FetchError::Status(500)));
    let large = serve("200 OK", vec![b' '; 1024 * 1024 + 1]).await;
    assert_eq!(fetch(KeySource::Url(large)).await, Err(FetchError::TooLarge));
    let announced = serve("200 OK\r\nContent-Length: 9999999999", Vec::new()).await;
    assert_eq!(fetch(KeySource::Url(announced)).await, Err(FetchError::TooLarge));
    assert_eq!(fetch(KeySource::Url("http://keys.example/".into())).await, Err(FetchError::Insecure));
}

#[tokio::test]
async fn discovery_is_followed_only_for_the_very_issuer() {
    let keys = serve("200 OK", set(&[RSA.jwk("rsa")]).body).await;
    let document = |issuer: &str| json!({"issuer": issuer, "jwks_uri": keys}).to_string().into_bytes();
    let right = serve("200 OK", document(ISSUER)).await;
    assert!(fetch(KeySource::Discovery(right.clone())).await.is_ok());
    assert!(fetch(KeySource::Discovery(format!("{right}/.well-known/openid-configuration"))).await.is_ok());
    let wrong = serve("200 OK", document("https://evil.example")).await;
    assert_eq!(fetch(KeySource::Discovery(wrong)).await, Err(FetchError::OtherIssuer));
    let inward = json!({"issuer": ISSUER, "jwks_uri": "http://169.254.169.254/"}).to_string();
    let inward = serve("200 OK", inward.into_bytes()).await;
    assert_eq!(fetch(KeySource::Discovery(inward)).await, Err(FetchError::Insecure));
}

#[tokio::test]
async fn a_changed_key_file_is_taken_up_and_a_broken_one_is_not() {
    install();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, set(&[RSA.jwk("rsa")]).body).unwrap();
    let store = Arc::new(KeyStore::new(&issuer("main", ISSUER, KeySource::File(path.clone()))));
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&store).run(shutdown));
    until(|| store.generation() == 1).await;
    std::fs::File::create(&path).unwrap().write_all(br#"{"keys":[]}"#).unwrap();
    until(|| store.failures() > 0).await;
    assert_eq!((store.generation(), store.keys()), (1, 1));
    assert_eq!(store.last_error(), Some(FetchError::Keys(KeySetError::Empty(None))));
    std::fs::write(&path, set(&[RSA.jwk("rsa"), EC.jwk("ec")]).body).unwrap();
    until(|| store.generation() == 2).await;
    assert_eq!(store.keys(), 2);
    // The loop ends with its owner, too.
    drop(stop);
    tokio::time::timeout(Duration::from_secs(2), running).await.unwrap().unwrap();
}

/// The clock stands still, but for what the test moves it by: the test is never idle, so the runtime does not move it.
#[tokio::test(start_paused = true)]
async fn a_new_key_is_learnt_by_its_use_and_a_flood_of_unknown_ones_fetches_seldom() {
    const REFRESH_MIN: Duration = Duration::from_secs(30);
    install();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fetches = Arc::new(AtomicUsize::new(0));
    let has_key = Arc::new(AtomicBool::new(false));
    let (counter, key_is_there) = (Arc::clone(&fetches), Arc::clone(&has_key));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let fetch = counter.fetch_add(1, Ordering::Relaxed) + 1;
            let mut request = [0; 2048];
            let _ = socket.read(&mut request).await;
            // Another set each time, so that the store's generation shows that it arrived.
            let mut keys = vec![EC.jwk(&format!("ec-{fetch}"))];
            keys.extend(key_is_there.load(Ordering::Relaxed).then(|| RSA.jwk("rsa")));
            let body = set(&keys).body;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let _ = socket.write_all(&body).await;
        }
    });
    let mut settings = issuer("main", ISSUER, KeySource::Url(format!("http://{address}/")));
    settings.refresh_min = REFRESH_MIN;
    let store = Arc::new(KeyStore::new(&settings));
    let verifier = Verifier::new(&[settings], vec![Arc::clone(&store)]);
    let (_stop, shutdown) = watch::channel(false);
    tokio::spawn(Arc::clone(&store).run(shutdown));
    busily_until(|| store.generation() == 1).await;
    let token = token(|_| {});
    for fetched in 1..4 {
        for _ in 0..1_000 {
            assert!(verifier.verify(&token, &[0], now()).is_err());
            tokio::task::yield_now().await;
        }
        tokio::time::advance(REFRESH_MIN - Duration::from_millis(1)).await;
        for _ in 0..1_000 {
            assert!(verifier.verify(&token, &[0], now()).is_err());
            tokio::task::yield_now().await;
        }
        assert_eq!(fetches.load(Ordering::Relaxed), fetched, "fetches before the shortest pause is over");
        tokio::time::advance(Duration::from_millis(2)).await;
        busily_until(|| store.generation() as usize > fetched).await;
    }
    has_key.store(true, Ordering::Relaxed);
    assert!(verifier.verify(&token, &[0], now()).is_err());
    tokio::time::advance(REFRESH_MIN).await;
    busily_until(|| verifier.verify(&token, &[0], now()).is_ok()).await;
    assert_eq!(fetches.load(Ordering::Relaxed), 5);
}
