//! Makes signed tokens for a scenario, and drives a server at a fixed rate with corrected latencies.
#![expect(clippy::print_stdout, reason = "a measuring tool's own output")]

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes `jwks.json`, `public.pem` and `tokens.txt` into a folder.
    Tokens {
        #[arg(long)]
        algorithm: Algorithm,
        #[arg(long, default_value_t = 1_000)]
        count: usize,
        #[arg(long, default_value_t = 10)]
        groups: usize,
        #[arg(long)]
        out: PathBuf,
    },
    /// Sends requests at a fixed rate and tells latencies, each from the time when it was due.
    Drive {
        #[arg(long)]
        address: SocketAddr,
        #[arg(long)]
        host: String,
        #[arg(long, default_value = "/")]
        path: String,
        #[arg(long)]
        tokens: PathBuf,
        #[arg(long, default_value_t = 32)]
        connections: usize,
        /// Requests per second over all connections.
        #[arg(long)]
        rate: u64,
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        #[arg(long, default_value_t = 200)]
        expect: u16,
        /// A further header line, whole; may be given again.
        #[arg(long)]
        header: Vec<String>,
        /// A new connection for each request.
        #[arg(long)]
        fresh: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Rs256,
    Es256,
}

enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Signer {
    fn new(algorithm: Algorithm) -> Fallible<Self> {
        Ok(match algorithm {
            Algorithm::Rs256 => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?),
            Algorithm::Es256 => {
                let document =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
                Self::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())?)
            }
        })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Fallible<Vec<u8>> {
        Ok(match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                signature
            }
            Self::Ec(key) => key.sign(&SystemRandom::new(), message)?.as_ref().to_vec(),
        })
    }

    fn token(&self, claims: &Value) -> Fallible<String> {
        let head = json!({ "typ": "JWT", "alg": self.name(), "kid": "load-1" });
        let signed = format!("{}.{}", encoded(&head), encoded(claims));
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public key as PEM and as JWKS.
    fn public(&self) -> Fallible<(String, Value)> {
        let (der, mut jwk): (PublicKeyX509Der<'_>, Value) = match self {
            Self::Rsa(key) => {
                let public = key.public_key();
                let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let n = part(public.modulus().big_endian_without_leading_zero());
                let e = part(public.exponent().big_endian_without_leading_zero());
                (public.as_der()?, json!({ "kty": "RSA", "n": n, "e": e }))
            }
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point
                    .get(1..)
                    .and_then(|rest| rest.split_at_checked(32))
                    .ok_or("no uncompressed point")?;
                let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                (
                    key.public_key().as_der()?,
                    json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y) }),
                )
            }
        };
        let members = jwk.as_object_mut().ok_or("no object")?;
        members.insert("kid".into(), json!("load-1"));
        members.insert("use".into(), json!("sig"));
        members.insert("alg".into(), json!(self.name()));
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        Ok((pem, json!({ "keys": [jwk] })))
    }
}

fn tokens(algorithm: Algorithm, count: usize, groups: usize, out: &Path) -> Fallible<()> {
    fs::create_dir_all(out)?;
    let signer = Signer::new(algorithm)?;
    let (pem, jwks) = signer.public()?;
    fs::write(out.join("public.pem"), pem)?;
    fs::write(out.join("jwks.json"), jwks.to_string())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut lines = String::new();
    for person in 0..count {
        let member: Vec<String> =
            (0..groups).map(|n| format!("g{:04}", (person * 7 + n * 37) % 500)).collect();
        let claims = json!({
            "iss": "https://issuer.load.example", "aud": "load", "sub": format!("u{person:05}"),
            "name": format!("User {person:05}"), "preferred_username": format!("u{person:05}@load.example"),
            "groups": member, "amr": ["pwd", "mfa"], "auth_time": now - 60, "iat": now, "nbf": now - 1,
            "exp": now + 86_400, "deviceid": format!("d{person:05}"), "device_compliant": true,
            "device_trust_type": "ServerAD", "device_os": "Windows", "device_os_version": "10.0.22631",
        });
        lines.push_str(&signer.token(&claims)?);
        lines.push('\n');
    }
    fs::write(out.join("tokens.txt"), lines)?;
    Ok(())
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<u32>,
    wrong: u64,
    errors: u64,
}

struct Plan {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    interval: Duration,
    total: u64,
    expect: u16,
    fresh: bool,
    start: Instant,
    next: AtomicU64,
}

/// Reads one answer; its status.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Fallible<u16> {
    buffer.clear();
    let mut chunk = [0_u8; 64 * 1024];
    let mut body_end = None;
    loop {
        if let Some(end) = body_end
            && buffer.len() >= end
        {
            break;
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Err("the connection was closed".into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if body_end.is_none()
            && let Some(head) = memchr::memmem::find(buffer, b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())
                .ok_or("an answer without a length")?;
            body_end = Some(head + 4 + length);
        }
    }
    let status = buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
    Ok(status.parse()?)
}

fn connection(plan: &Plan) -> Seen {
    let mut seen = Seen::default();
    let mut stream: Option<TcpStream> = None;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let index = plan.next.fetch_add(1, Ordering::Relaxed);
        if index >= plan.total {
            return seen;
        }
        let due = plan.start + plan.interval.mul_f64(index as f64);
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        let count = plan.requests.len() as u64;
        let Some(request) = plan.requests.get(usize::try_from(index % count.max(1)).unwrap_or(0)) else {
            return seen;
        };
        let mut ask = || -> Fallible<u16> {
            if plan.fresh {
                stream = None;
            }
            let open = match &mut stream {
                Some(open) => open,
                none => {
                    let fresh = TcpStream::connect(plan.address)?;
                    fresh.set_nodelay(true)?;
                    fresh.set_read_timeout(Some(Duration::from_secs(20)))?;
                    none.insert(fresh)
                }
            };
            open.write_all(request)?;
            read_answer(open, &mut buffer)
        };
        match ask() {
            Ok(status) => {
                seen.wrong += u64::from(status != plan.expect);
                let micros = due.elapsed().as_micros();
                seen.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
            Err(_) => {
                stream = None;
                seen.errors += 1;
            }
        }
    }
}

fn drive(mut plan: Plan, connections: usize) -> Value {
    plan.start = Instant::now() + Duration::from_millis(50);
    let plan = Arc::new(plan);
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let plan = Arc::clone(&plan);
            std::thread::spawn(move || connection(&plan))
        })
        .collect();
    let mut all = Seen::default();
    for thread in threads {
        if let Ok(seen) = thread.join() {
            all.latencies.extend(seen.latencies);
            all.wrong += seen.wrong;
            all.errors += seen.errors;
        }
    }
    let took = plan.start.elapsed().as_secs_f64();
    all.latencies.sort_unstable();
    let at = |share: f64| {
        let position = ((all.latencies.len() as f64 - 1.0) * share).round().max(0.0);
        all.latencies.get(position as usize).map(|micros| f64::from(*micros) / 1_000.0)
    };
    json!({
        "requests": all.latencies.len(), "errors": all.errors, "wrong": all.wrong, "seconds": took,
        "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1.0),
    })
}

fn main() -> Fallible<()> {
    match Arguments::parse().command {
        Command::Tokens { algorithm, count, groups, out } => tokens(algorithm, count, groups, &out),
        Command::Drive { address, host, path, tokens, connections, rate, seconds, expect, header, fresh } => {
            let more: String = header.iter().map(|line| format!("{line}\r\n")).collect();
            let request = |token: &str| {
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
            };
            let requests =
                fs::read_to_string(tokens)?.lines().map(|token| request(token).into_bytes()).collect();
            let plan = Plan {
                address,
                requests,
                interval: Duration::from_secs_f64(1.0 / rate.max(1) as f64),
                total: (rate as f64 * seconds) as u64,
                expect,
                fresh,
                start: Instant::now(),
                next: AtomicU64::new(0),
            };
            println!("{}", drive(plan, connections));
            Ok(())
        }
    }
}
