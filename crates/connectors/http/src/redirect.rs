//! Redirects: where to go next, with what, and what to leave behind.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use crate::method::Method;
use crate::target;

/// The next request of a chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// Whether the body goes along.
    pub(crate) keeps_body: bool,
    /// Whether it goes to another scheme, host or port, so that credentials stay behind.
    pub(crate) leaves_origin: bool,
}

/// Why a redirect is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `Location` is no URL of http or https.
    BadLocation,
    /// From https to http.
    Downgrade,
}

/// Whether an answer sends us elsewhere.
pub(crate) fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}

/// The next request after `status`, as browsers do it: 303 turns everything but HEAD into GET, 301 and 302
/// turn POST into GET, 307 and 308 repeat the request. User information in `location` is ignored.
pub(crate) fn next(status: StatusCode, method: Method, current: &Url, location: &[u8]) -> Result<Hop, Refusal> {
    let location = std::str::from_utf8(location).map_err(|_| Refusal::BadLocation)?;
    let mut url = current.join(location).map_err(|_| Refusal::BadLocation)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::BadLocation);
    }
    if current.scheme() == "https" && url.scheme() == "http" {
        return Err(Refusal::Downgrade);
    }
    target::drop_userinfo(&mut url);
    url.set_fragment(None);
    let becomes_get = match status.as_u16() {
        303 => !matches!(method, Method::Get | Method::Head),
        301 | 302 => method == Method::Post,
        _ => false,
    };
    let leaves_origin = url.origin() != current.origin();
    Ok(Hop {
        url,
        method: if becomes_get { Method::Get } else { method },
        keeps_body: !becomes_get,
        leaves_origin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(status: u16, method: Method, from: &str, to: &str) -> Result<Hop, Refusal> {
        next(
            StatusCode::from_u16(status).unwrap(),
            method,
            &Url::parse(from).unwrap(),
            to.as_bytes(),
        )
    }

    #[test]
    fn methods_change_as_in_browsers() {
        for (status, method, next, keeps_body) in [
            (301, Method::Post, Method::Get, false),
            (302, Method::Post, Method::Get, false),
            (303, Method::Post, Method::Get, false),
            (303, Method::Put, Method::Get, false),
            (303, Method::Head, Method::Head, true),
            (301, Method::Put, Method::Put, true),
            (307, Method::Post, Method::Post, true),
            (308, Method::Delete, Method::Delete, true),
            (302, Method::Get, Method::Get, true),
        ] {
            let hop = hop(status, method, "https://a.example/x", "/y").unwrap();
            assert_eq!(
                (hop.method, hop.keeps_body, hop.leaves_origin),
                (next, keeps_body, false),
                "{status} {method}"
            );
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        for (from, to, leaves) in [
            ("https://a.example/x?k=1", "y?z=2", false),
            ("https://a.example/", "https://a.example:443/", false),
            ("https://a.example/", "https://a.example:444/", true),
            ("https://a.example/", "//b.example/", true),
            ("http://a.example/", "https://a.example/", true),
        ] {
            assert_eq!(
                hop(302, Method::Get, from, to).unwrap().leaves_origin,
                leaves,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(
            hop(302, Method::Get, "https://a.example/", "http://a.example/"),
            Err(Refusal::Downgrade)
        );
        assert_eq!(
            hop(302, Method::Get, "https://a.example/", "file:///etc/passwd"),
            Err(Refusal::BadLocation)
        );
        assert_eq!(
            hop(302, Method::Get, "https://a.example/", "https://"),
            Err(Refusal::BadLocation)
        );
        let hop = hop(302, Method::Get, "https://a.example/", "https://u:p@a.example/#top").unwrap();
        assert_eq!(hop.url.as_str(), "https://a.example/");
    }
}
