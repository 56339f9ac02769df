//! What a signed request says about its signature, in its `Authorization` header or its query
//! (presigned). Pure; it trusts nothing of it.

use percent_encoding::percent_decode_str;

use crate::sandbox::proxy::signing::canonical::PathForm;

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Signature Version 4.
    Hmac,
    /// Signature Version 4A.
    Ecdsa,
}

impl Algorithm {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "AWS4-HMAC-SHA256",
            Self::Ecdsa => "AWS4-ECDSA-P256-SHA256",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Hmac, Self::Ecdsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// What a signature is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `YYYYMMDD`.
    pub date: String,
    /// Region; empty for Signature Version 4A, which names regions in a header.
    pub region: String,
    /// Service.
    pub service: String,
    /// The whole as it was written.
    pub text: String,
}

impl Scope {
    fn of(text: &str, algorithm: Algorithm) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (date, region, service) = match (algorithm, &parts[..]) {
            (Algorithm::Hmac, [date, region, service, "aws4_request"]) => (date, *region, service),
            (Algorithm::Ecdsa, [date, service, "aws4_request"]) => (date, "", service),
            _ => return None,
        };
        let plain = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let dated = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if !dated || !plain(region) || !plain(service) || service.is_empty() {
            return None;
        }
        Some(Self {
            date: (*date).to_owned(),
            region: region.to_owned(),
            service: (*service).to_owned(),
            text: text.to_owned(),
        })
    }

    /// Returns how the service reads paths.
    pub fn path_form(&self) -> PathForm {
        if self.service == "s3" || self.service.starts_with("s3-") || self.service == "s3express" {
            PathForm::Once
        } else {
            PathForm::Twice
        }
    }
}

/// A request's claim to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How.
    pub algorithm: Algorithm,
    /// Id of the access key.
    pub key_id: String,
    /// What for.
    pub scope: Scope,
    /// Names of the signed headers as they were written.
    pub signed_headers: Vec<String>,
}

/// The claim names a key of ours and cannot be understood: refuse the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its AWS signature is malformed: {0}")]
pub struct Malformed(pub &'static str);

/// Returns the id of the access key that an `Authorization` header names, if it is AWS's.
pub fn key_id_of_header(value: &str) -> Option<&str> {
    let (algorithm, rest) = value.trim().split_once(' ')?;
    Algorithm::of(algorithm)?;
    parts(rest, "Credential").and_then(|credential| credential.split('/').next())
}

/// Reads an `Authorization` header.
///
/// # Errors
/// [`Malformed`].
pub fn of_header(value: &str) -> Result<Claim, Malformed> {
    let unsigned = Malformed("the header lacks one of its parts");
    let (algorithm, rest) = value
        .trim()
        .split_once(' ')
        .ok_or_else(|| unsigned.clone())?;
    let part = |name| parts(rest, name).ok_or_else(|| unsigned.clone());
    part("Signature")?;
    claim(algorithm, part("Credential")?, part("SignedHeaders")?)
}

/// Returns the id of the access key that a presigned query names.
pub fn key_id_of_query(query: &str) -> Option<String> {
    let credential = parameter(query, "X-Amz-Credential")?;
    credential.split('/').next().map(str::to_owned)
}

/// Reads a presigned query.
///
/// # Errors
/// [`Malformed`].
pub fn of_query(query: &str) -> Result<Claim, Malformed> {
    let part = |name| parameter(query, name).ok_or(Malformed("the query lacks one of its parts"));
    part("X-Amz-Signature")?;
    let (algorithm, credential) = (part("X-Amz-Algorithm")?, part("X-Amz-Credential")?);
    claim(&algorithm, &credential, &part("X-Amz-SignedHeaders")?)
}

/// Returns the decoded value of a query's parameter.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(found, _)| decoded(found) == name)?;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn parts<'a>(rest: &'a str, name: &str) -> Option<&'a str> {
    let pairs = rest
        .split(',')
        .filter_map(|part| part.trim().split_once('='));
    let mut values = pairs
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    values.next()
}

fn claim(algorithm: &str, credential: &str, signed_headers: &str) -> Result<Claim, Malformed> {
    let algorithm = Algorithm::of(algorithm).ok_or(Malformed("unknown algorithm"))?;
    let (key_id, scope) = credential
        .split_once('/')
        .ok_or(Malformed("the credential has no scope"))?;
    let scope = Scope::of(scope, algorithm).ok_or(Malformed("the scope is none"))?;
    let signed_headers = signed_headers.split(';').map(str::to_ascii_lowercase);
    Ok(Claim {
        algorithm,
        key_id: key_id.to_owned(),
        scope,
        signed_headers: signed_headers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_its_claim() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-north-1/s3/aws4_request,\
                      SignedHeaders=host;x-amz-date,  Signature=00";
        assert_eq!(key_id_of_header(header), Some("AKIA"));
        let claim = of_header(header).unwrap();
        assert_eq!(claim.scope.path_form(), PathForm::Once);
        assert_eq!(claim.signed_headers, ["host", "x-amz-date"]);
        assert_eq!(key_id_of_header("Bearer Credential=AKIA/x"), None);
    }

    #[test]
    fn wrong_scopes_are_refused() {
        for scope in [
            "20260101/eu-north-1/s3",
            "2026/eu-north-1/s3/aws4_request",
            "20260101/eu north/s3/aws4_request",
            "20260101/eu-north-1//aws4_request",
            "20260101/a/b/c/aws4_request",
        ] {
            let header = format!(
                "AWS4-HMAC-SHA256 Credential=AKIA/{scope}, SignedHeaders=host, Signature=0"
            );
            assert!(of_header(&header).is_err(), "{scope}");
        }
        let query = "X-Amz-Algorithm=AWS4-MD5&X-Amz-Credential=A%2F20260101%2Fr%2Fs%2Faws4_request\
                     &X-Amz-SignedHeaders=host&X-Amz-Signature=0";
        assert_eq!(of_query(query), Err(Malformed("unknown algorithm")));
        assert_eq!(key_id_of_query(query).as_deref(), Some("A"));
    }
}
