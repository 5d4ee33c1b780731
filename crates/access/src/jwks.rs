//! The public keys of a token issuer: fetched or read, kept for a while, and looked for again when a token names one that
//! is not known.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use url::Url;

/// After this keys are fetched again, so that one that the issuer has withdrawn stops being accepted.
const MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// Keys are used so long where they cannot be fetched again.
const MAX_STALE: Duration = Duration::from_secs(24 * 3_600);

/// Between two attempts to fetch at least this passes, whatever tokens name: nobody makes this server flood the issuer.
const PAUSE: Duration = Duration::from_secs(10);

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How large a document may be, in bytes.
const LARGEST: usize = 1024 * 1024;

/// RSA keys have at least 2048 bits: the length of that in base64url.
const SHORTEST_MODULUS: usize = 342;

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Fetched.
    Url(Url),
    /// Read.
    File(PathBuf),
}

/// A key that signatures are checked with.
pub(crate) struct Key {
    id: Option<String>,
    /// What it may be used for.
    algorithms: Vec<Algorithm>,
    pub(crate) verifier: DecodingKey,
}

struct Fetched {
    keys: Arc<Vec<Arc<Key>>>,
    at: Instant,
}

/// The keys of an issuer.
pub(crate) struct Jwks {
    source: Source,
    client: reqwest::Client,
    pause: Duration,
    fetched: RwLock<Option<Fetched>>,
    /// When it was tried last. Whoever holds this fetches.
    tried: tokio::sync::Mutex<Option<Instant>>,
}

/// Why there is no key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// The issuer has none that this token could be signed with.
    Unknown,
    /// The issuer's keys cannot be had; the log says why.
    Unavailable,
}

impl Jwks {
    pub(crate) fn new(source: Source) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("bowline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client for the issuer's keys: {error}"))?;
        Ok(Self {
            source,
            client,
            pause: PAUSE,
            fetched: RwLock::new(None),
            tried: tokio::sync::Mutex::new(None),
        })
    }

    /// With another pause between attempts.
    #[cfg(test)]
    pub(crate) fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The key with this id that may be used with this algorithm. Without an id: the only one that may.
    pub(crate) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, NoKey> {
        let (known, is_old) = self.known();
        if is_old {
            // While somebody else fetches, what is known does, if anything is.
            self.refresh(known.is_none()).await;
        }
        if let Some(found) = self.known().0.and_then(|keys| choose(&keys, id, algorithm)) {
            return Ok(found);
        }
        if !is_old {
            self.refresh(true).await;
            if let Some(found) = self.known().0.and_then(|keys| choose(&keys, id, algorithm)) {
                return Ok(found);
            }
        }
        match self.known().0 {
            None => Err(NoKey::Unavailable),
            Some(_) => Err(NoKey::Unknown),
        }
    }

    /// What is known and may be used, and whether it is to be fetched again.
    fn known(&self) -> (Option<Arc<Vec<Arc<Key>>>>, bool) {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        match &*fetched {
            None => (None, true),
            Some(fetched) if fetched.at.elapsed() > MAX_STALE => (None, true),
            Some(fetched) => (Some(Arc::clone(&fetched.keys)), fetched.at.elapsed() > MAX_AGE),
        }
    }

    /// Fetches, unless that was tried a moment ago. With `wait`, what another one fetches is waited for.
    async fn refresh(&self, wait: bool) {
        let mut tried = match self.tried.try_lock() {
            Ok(tried) => tried,
            Err(_) if wait => self.tried.lock().await,
            Err(_) => return,
        };
        if tried.is_some_and(|at| at.elapsed() < self.pause) {
            return;
        }
        *tried = Some(Instant::now());
        let keys = match self.fetch().await.and_then(|text| read(&text)) {
            Ok(keys) => keys,
            Err(why) => {
                tracing::warn!(why, "the keys of the token issuer cannot be had");
                return;
            }
        };
        let fetched = Fetched {
            keys: Arc::new(keys),
            at: Instant::now(),
        };
        *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
    }

    async fn fetch(&self) -> Result<Vec<u8>, String> {
        match &self.source {
            Source::File(path) => {
                let length = tokio::fs::metadata(path)
                    .await
                    .map_err(|error| format!("{}: {error}", path.display()))?
                    .len();
                if length > LARGEST as u64 {
                    return Err(format!("{} has more than {LARGEST} bytes", path.display()));
                }
                tokio::fs::read(path)
                    .await
                    .map_err(|error| format!("{}: {error}", path.display()))
            }
            Source::Url(url) => {
                let failed = |error: reqwest::Error| format!("{url}: {}", plain(&error));
                let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
                if response.status() != reqwest::StatusCode::OK {
                    return Err(format!("{url} answers {}; expected 200 and a JWKS", response.status()));
                }
                let mut text = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(failed)? {
                    if text.len() + chunk.len() > LARGEST {
                        return Err(format!("{url} answers with more than {LARGEST} bytes"));
                    }
                    text.extend_from_slice(&chunk);
                }
                Ok(text)
            }
        }
    }
}

/// Whether keys could be read from a file now.
pub(crate) fn look(path: &Path) -> Result<(), String> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| about(&error))?;
    if text.len() > LARGEST {
        return Err(about(&format_args!("this has more than {LARGEST} bytes")));
    }
    read(&text).map(drop).map_err(|why| about(&why))
}

/// An error with what it came of, and without the address, which is told before it.
fn plain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn choose(keys: &[Arc<Key>], id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
    let mut fitting = keys.iter().filter(|key| key.algorithms.contains(&algorithm));
    if let Some(id) = id {
        return fitting.find(|key| key.id.as_deref() == Some(id)).cloned();
    }
    let only = fitting.next()?;
    fitting.next().is_none().then(|| Arc::clone(only))
}

fn read(text: &[u8]) -> Result<Vec<Arc<Key>>, String> {
    // One key that this program does not understand does not spoil the others.
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    let document: Document =
        serde_json::from_slice(text).map_err(|error| format!("this is not a JWKS (an object with `keys`): {error}"))?;
    let keys: Vec<Arc<Key>> = document
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
        .filter_map(|jwk| usable(&jwk))
        .collect();
    if keys.is_empty() {
        return Err("the JWKS has no public key for signatures: RSA from 2048 bits, P-256, P-384 or Ed25519".into());
    }
    Ok(keys)
}

/// The key, if signatures may be checked with it. Symmetric keys have no place in a public document.
fn usable(jwk: &Jwk) -> Option<Arc<Key>> {
    let common = &jwk.common;
    if common
        .public_key_use
        .as_ref()
        .is_some_and(|of| *of != PublicKeyUse::Signature)
    {
        return None;
    }
    if common
        .key_operations
        .as_ref()
        .is_some_and(|ops| !ops.contains(&KeyOperations::Verify))
    {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.trim_end_matches('=').len() >= SHORTEST_MODULUS => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
        _ => return None,
    };
    if let Some(only) = common.key_algorithm {
        algorithms.retain(|algorithm| named(*algorithm) == Some(only));
    }
    let verifier = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then(|| {
        Arc::new(Key {
            id: common.key_id.clone(),
            algorithms,
            verifier,
        })
    })
}

fn named(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::RS384 => KeyAlgorithm::RS384,
        Algorithm::RS512 => KeyAlgorithm::RS512,
        Algorithm::PS256 => KeyAlgorithm::PS256,
        Algorithm::PS384 => KeyAlgorithm::PS384,
        Algorithm::PS512 => KeyAlgorithm::PS512,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::ES384 => KeyAlgorithm::ES384,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => return None,
    })
}
