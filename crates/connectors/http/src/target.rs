//! Where a call goes: from what users write to a URL, and from a URL to what may be shown.

use bowline_connector::{Masker, StepError};
use url::{Origin, Url};

use crate::auth::{self, Applied};
use crate::failure::invalid;

/// The URL of a call.
///
/// An absolute `url` stands for itself; with a connection it must be on the origin of the connection's
/// `base`, so that the connection's credentials go nowhere else. Anything else is a path below `base`:
/// the two are joined with one slash, whether or not either has one.
pub(crate) fn resolve(url: Option<&str>, base: Option<&Url>) -> Result<Url, StepError> {
    let url = url.map(str::trim).unwrap_or_default();
    if is_absolute(url) {
        let target = parse("url", url)?;
        return match base {
            Some(base) if base.origin() != target.origin() => Err(invalid(
                "url",
                &format!(
                    "{} is not on the origin of the connection's baseUrl, {}; its credentials stay there",
                    place(&target),
                    ascii(&base.origin())
                ),
            )),
            _ => Ok(target),
        };
    }
    let Some(base) = base else {
        let what = if url.is_empty() {
            "it is missing"
        } else {
            "it is relative, and no connection gives a baseUrl"
        };
        return Err(invalid("url", what));
    };
    if url.is_empty() {
        return Ok(base.clone());
    }
    let (path, fragmentless) = (
        base.path().trim_end_matches('/'),
        url.split('#').next().unwrap_or_default(),
    );
    let (tail, query) = fragmentless
        .split_once('?')
        .map_or((fragmentless, None), |(tail, query)| (tail, Some(query)));
    let mut target = base.clone();
    if !tail.is_empty() {
        target.set_path(&format!("{path}/{}", tail.trim_start_matches('/')));
    }
    let query = [base.query(), query]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    target.set_query(if query.is_empty() { None } else { Some(query.join("&")) }.as_deref());
    Ok(target)
}

/// A base URL or an absolute URL: http or https, with a host.
pub(crate) fn parse(field: &str, text: &str) -> Result<Url, StepError> {
    let url = Url::parse(text.trim()).map_err(|error| invalid(field, "it is not a URL").caused_by(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(
            field,
            &format!("the scheme is {}, and http or https is needed", url.scheme()),
        ));
    }
    Ok(url)
}

/// Takes user name and password out of `url`, as basic authentication.
pub(crate) fn take_userinfo(url: &mut Url, masker: &Masker) -> Result<Option<Applied>, StepError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let applied = auth::basic(&decode(url.username()), &decode(url.password().unwrap_or("")), masker)?;
    drop_userinfo(url);
    Ok(Some(applied))
}

/// Forgets user name and password.
pub(crate) fn drop_userinfo(url: &mut Url) {
    // These fail only for URLs that cannot have user information, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// What may be shown of a URL: scheme, host, port and path.
pub(crate) fn place(url: &Url) -> String {
    format!("{}{}", ascii(&url.origin()), url.path())
}

fn ascii(origin: &Origin) -> String {
    origin.ascii_serialization()
}

/// `https:`, `ftp:` and the like, but not `a/b:c` or `items:batch`: a scheme counts only before `//`.
fn is_absolute(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls_hang_below_the_base() {
        for (base, url, expected) in [
            ("https://a.example/v1", "/users", "https://a.example/v1/users"),
            ("https://a.example/v1/", "users?x=1", "https://a.example/v1/users?x=1"),
            ("https://a.example", "users#top", "https://a.example/users"),
            ("https://a.example/v1?k=1", "?x=2", "https://a.example/v1?k=1&x=2"),
            ("https://a.example/v1", "", "https://a.example/v1"),
            (
                "https://a.example/v1",
                "//evil.example/x",
                "https://a.example/v1/evil.example/x",
            ),
            (
                "https://a.example",
                "@evil.example/x",
                "https://a.example/@evil.example/x",
            ),
            ("https://a.example", "items:batch", "https://a.example/items:batch"),
            (
                "https://a.example/v1",
                "https://a.example/other",
                "https://a.example/other",
            ),
        ] {
            let base = Url::parse(base).unwrap();
            assert_eq!(
                resolve(Some(url), Some(&base)).unwrap().as_str(),
                expected,
                "{base} + {url}"
            );
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_without_its_query() {
        let base = Url::parse("https://a.example").unwrap();
        for (url, base) in [
            (Some("https://b.example/x?token=hush"), Some(&base)),
            (Some("http://a.example/x"), Some(&base)),
            (Some("ftp://a.example/hush"), None),
            (Some("/x"), None),
            (Some("https://"), None),
            (Some("https://a b/hush"), None),
            (None, None),
        ] {
            let error = resolve(url, base).unwrap_err();
            assert_eq!(error.code, "config.invalid");
            assert!(
                error.message.starts_with("url: ") && !error.to_string().contains("hush"),
                "{error}"
            );
        }
    }

    #[test]
    fn userinfo_becomes_basic_authentication() {
        let mut url = Url::parse("https://us%40er:p%3Aw@a.example/x").unwrap();
        let applied = take_userinfo(&mut url, &Masker::default()).unwrap().unwrap();
        assert_eq!(applied.header.unwrap().1, "Basic dXNAZXI6cDp3");
        assert_eq!(url.as_str(), "https://a.example/x");
        assert!(take_userinfo(&mut url, &Masker::default()).unwrap().is_none());
    }
}
