//! Requests that the agent signed for AWS with surrogates, signed anew with the real key (spec rows
//! SEC-07 to SEC-12). Pure; it knows neither bodies nor connections.

pub(super) mod apply;
pub mod canonical;
pub mod chunked;
pub mod claim;
pub mod key;
pub mod note;
pub(super) mod refused;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::signing::canonical::{CanonicalParts, PathForm, sha256_hex};
use crate::sandbox::proxy::signing::chunked::Resigner;
use crate::sandbox::proxy::signing::claim::{Claim, Malformed};
use crate::sandbox::proxy::signing::key::Key;
use crate::sandbox::proxy::signing::note::SigningNote;
use crate::sandbox::proxy::wire::{ReportedCredential, SigningCredential};

const DATE: &str = "x-amz-date";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const TOKEN: &str = "x-amz-security-token";

/// Where a request carries its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Query,
}

/// A request that is signed with a surrogate of ours.
#[derive(Debug)]
pub struct Pending<'a> {
    credential: &'a SigningCredential,
    claim: Claim,
    place: Place,
}

/// A request that is signed with the real key.
pub struct Signed {
    /// Its path and query, if they are others now.
    pub path_and_query: Option<String>,
    /// What signs its body, if that is signed in chunks.
    pub resigner: Option<Resigner>,
    /// What is reported of it.
    pub used: ReportedCredential,
    /// What is told of it when upstream refuses it.
    pub note: SigningNote,
    timestamp: String,
    place: Place,
}

impl Signed {
    /// Returns in words how far its time is from `now_ms`, if that is too far.
    pub fn skew(&self, now_ms: u64) -> Option<String> {
        note::skew(&self.timestamp, self.place, now_ms)
    }
}

/// Returns whether any signing credential may be used towards `host`.
pub fn may_go_to(host: &str, credentials: &[SigningCredential]) -> bool {
    credentials.iter().any(|known| in_scope(known, host))
}

/// Returns whether an `Authorization` header to `host` is signed with a surrogate of ours.
pub fn is_signed(value: &HeaderValue, host: &str, credentials: &[SigningCredential]) -> bool {
    let key_id = value.to_str().ok().and_then(claim::key_id_of_header);
    key_id.is_some_and(|key_id| {
        let mut ours = credentials.iter().filter(|known| in_scope(known, host));
        ours.any(|known| known.surrogate_key_id.expose() == key_id)
    })
}

/// Finds the credential that a request to `host` is signed with the surrogate of.
///
/// # Errors
/// [`Malformed`] when the rest of the signature cannot be understood: refuse the request.
pub fn find<'a>(
    headers: &HeaderMap,
    query: &str,
    host: &str,
    credentials: &'a [SigningCredential],
) -> Result<Option<Pending<'a>>, Malformed> {
    let known = |key_id: &str| {
        let mut ours = credentials.iter().filter(|known| in_scope(known, host));
        ours.find(|known| known.surrogate_key_id.expose() == key_id)
    };
    for value in headers.get_all(AUTHORIZATION) {
        let Ok(value) = value.to_str() else { continue };
        if let Some(credential) = claim::key_id_of_header(value).and_then(known) {
            let (claim, place) = (claim::of_header(value)?, Place::Header);
            return Pending::checked(credential, claim, place).map(Some);
        }
    }
    let key_id = claim::key_id_of_query(query);
    let Some(credential) = key_id.as_deref().and_then(known) else {
        return Ok(None);
    };
    Pending::checked(credential, claim::of_query(query)?, Place::Query).map(Some)
}

fn in_scope(credential: &SigningCredential, host: &str) -> bool {
    let mut scopes = credential.scopes.iter();
    scopes.any(|scope| glob::matches_ignoring_case(scope, host))
}

impl<'a> Pending<'a> {
    fn checked(
        credential: &'a SigningCredential,
        claim: Claim,
        place: Place,
    ) -> Result<Self, Malformed> {
        let host = ["host", ":authority"];
        if !claim
            .signed_headers
            .iter()
            .any(|name| host.contains(&name.as_str()))
        {
            // Such a signature would be good for any host.
            return Err(Malformed("the host is not signed"));
        }
        Ok(Self {
            credential,
            claim,
            place,
        })
    }

    /// Returns the name of the credential.
    pub fn name(&self) -> &str {
        &self.credential.name
    }

    /// Returns what stands for the body in the signature; nothing when that is the body's SHA-256,
    /// which the request does not tell.
    pub fn payload_hash(&self, headers: &HeaderMap) -> Option<String> {
        let told = headers
            .get(CONTENT_SHA256)
            .and_then(|value| value.to_str().ok());
        match (told, self.place) {
            (Some(told), _) => Some(told.to_owned()),
            (None, Place::Query) if self.claim.scope.path_form() == PathForm::Once => {
                Some("UNSIGNED-PAYLOAD".to_owned())
            }
            (None, _) => None,
        }
    }

    /// Signs the request; `headers` are what will be sent, among them `Host`.
    ///
    /// # Errors
    /// [`Malformed`]: refuse the request.
    pub fn sign(
        self,
        method: &str,
        path: &str,
        query: &str,
        headers: &mut HeaderMap,
        payload_hash: &str,
    ) -> Result<Signed, Malformed> {
        let timestamp = self.timestamp(query, headers)?;
        let query = match self.place {
            Place::Header => query.to_owned(),
            Place::Query => self.real_query(query),
        };
        self.put_token(headers)?;
        let Claim {
            algorithm, scope, ..
        } = &self.claim;
        let signed_headers = self.signed_headers(headers);
        let canonical = canonical::request(CanonicalParts {
            method,
            path,
            path_form: scope.path_form(),
            query: &query,
            headers,
            signed_headers: &signed_headers,
            payload_hash,
        });
        let canonical = sha256_hex(canonical);
        let string_to_sign = format!(
            "{}\n{timestamp}\n{}\n{canonical}",
            algorithm.name(),
            scope.text
        );
        let note = SigningNote::new([
            &self.credential.name,
            algorithm.name(),
            &scope.text,
            &signed_headers.join(";"),
            payload_hash,
            &canonical,
        ]);
        let (id, secret) = (&self.credential.key_id, &self.credential.secret);
        let key = Key::derive(*algorithm, id.expose(), secret.expose(), scope);
        let key = key.ok_or(Malformed("no key can be derived"))?;
        let signature = key.sign(&string_to_sign);
        let mut path_and_query = None;
        if self.place == Place::Query {
            path_and_query = Some(format!("{path}?{query}&X-Amz-Signature={signature}"));
        } else {
            self.put_header(headers, &signed_headers, &signature)?;
        }
        let resigner = chunked::announced(payload_hash, *algorithm).map(|has_trailers| {
            Resigner::new(
                key,
                *algorithm,
                &timestamp,
                &scope.text,
                signature,
                has_trailers,
            )
        });
        Ok(Signed {
            path_and_query,
            resigner,
            used: self.used(),
            note,
            timestamp,
            place: self.place,
        })
    }

    fn used(&self) -> ReportedCredential {
        let header = match self.place {
            Place::Header => AUTHORIZATION.to_string(),
            Place::Query => "X-Amz-Signature".to_owned(),
        };
        ReportedCredential {
            name: self.credential.name.clone(),
            header,
            count: 1,
        }
    }

    /// Returns when the request says it was signed, which has to be on the day of its scope.
    fn timestamp(&self, query: &str, headers: &HeaderMap) -> Result<String, Malformed> {
        let timestamp = match self.place {
            Place::Header => headers
                .get(DATE)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            Place::Query => claim::parameter(query, "X-Amz-Date"),
        };
        let timestamp = timestamp.ok_or(Malformed("it has no date"))?;
        let (day, time) = timestamp.split_once('T').unwrap_or_default();
        let time = time.strip_suffix('Z').unwrap_or_default();
        if time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed("its date is none"));
        }
        if day != self.claim.scope.date {
            return Err(Malformed("its date is not that of its scope"));
        }
        Ok(timestamp)
    }

    /// Returns the signed headers that are sent, as they are named there.
    fn signed_headers(&self, headers: &HeaderMap) -> Vec<String> {
        let names = self.claim.signed_headers.iter();
        let names = names.map(|name| {
            if name == ":authority" {
                HOST.as_str()
            } else {
                name
            }
        });
        let mut names: Vec<String> = names
            .filter(|name| headers.contains_key(*name))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Puts the real session token in the surrogate's place; one that is not ours does not go.
    fn put_token(&self, headers: &mut HeaderMap) -> Result<(), Malformed> {
        if headers.remove(TOKEN).is_none() {
            return Ok(());
        }
        if let Some(token) = &self.credential.token {
            let mut value = HeaderValue::from_str(token.value.expose())
                .map_err(|_| Malformed("the session token is no header value"))?;
            value.set_sensitive(true);
            headers.insert(TOKEN, value);
        }
        Ok(())
    }

    fn put_header(
        &self,
        headers: &mut HeaderMap,
        signed_headers: &[String],
        signature: &str,
    ) -> Result<(), Malformed> {
        let value = format!(
            "{} Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.claim.algorithm.name(),
            self.credential.key_id.expose(),
            self.claim.scope.text,
            signed_headers.join(";"),
        );
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Malformed("the access key is no header value"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// Returns the query with the real key's id and token, without the signature.
    fn real_query(&self, query: &str) -> String {
        let pairs = query.split('&').filter_map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            let value = match name {
                "X-Amz-Signature" => return None,
                "X-Amz-Credential" => {
                    let id = self.credential.key_id.expose();
                    format!("{id}/{}", self.claim.scope.text)
                }
                "X-Amz-Security-Token" => self.credential.token.as_ref()?.value.expose().to_owned(),
                _ => return Some(pair.to_owned()),
            };
            let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            Some(format!("{name}={value}"))
        });
        pairs.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests;
