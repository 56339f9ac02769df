//! `repos.<id>.signing_credentials` and `github_app_credentials`: keys that sign, and apps. Pure.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::config::read::repo::check_env_name;
use crate::config::section::Section;
use crate::config::types::{GithubAppSecret, MaskedSecret, NamedSecret, SigningSecret};
use crate::config::yaml::{Node, Place, Problem, Value};
use crate::events::id::CredentialName;

/// Reads one masked secret; nothing when its value is unset.
pub(super) fn masked(
    path: &str,
    place: Place,
    node: Node,
) -> Result<Option<MaskedSecret>, Problem> {
    let mut section = Section::new(path, node)?;
    let value = section.scalar("value")?;
    let (scopes, headers) = (section.list("scopes")?, section.list("headers")?);
    let foreign = section.scalar("allow_foreign_credentials")?;
    let foreign = foreign
        .map(|scalar| scalar.boolean())
        .transpose()?
        .unwrap_or(false);
    section.end()?;
    // An unset value comes before what else may be wrong.
    let Some(value) = value else {
        return Ok(None);
    };
    Ok(Some(MaskedSecret {
        value: SecretString::from(value.text),
        scopes: filled(scopes, path, "scopes", place)?,
        headers: filled(headers, path, "headers", place)?,
        allow_foreign_credentials: foreign,
    }))
}

/// Reads all keys that sign; one whose id or secret is unset is left out, as a masked secret is.
pub(super) fn signing(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, SigningSecret>, Problem> {
    let mut signing = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        if let Some(secret) = key(&path, place, node)? {
            signing.insert(CredentialName(name), secret);
        }
    }
    Ok(signing)
}

/// Reads one key; nothing when its id or secret is unset or empty.
pub(super) fn key(path: &str, place: Place, node: Node) -> Result<Option<SigningSecret>, Problem> {
    let mut section = Section::new(path, node)?;
    let kind = section.required("type")?;
    kind.choice(&[("aws-sigv4", ())])?;
    let id = named(&mut section, "access_key_id", place)?;
    let secret = named(&mut section, "secret_access_key", place)?;
    let token = named(&mut section, "session_token", place)?;
    let scopes = section.list("scopes")?;
    section.end()?;
    let (Some(access_key_id), Some(secret_access_key)) = (id, secret) else {
        return Ok(None);
    };
    Ok(Some(SigningSecret {
        access_key_id,
        secret_access_key,
        session_token: token,
        scopes: filled(scopes, path, "scopes", place)?,
    }))
}

/// Reads all apps of GitHub; one whose id or key is unset is left out, as a masked secret is.
pub(super) fn apps(
    section: Option<Section>,
) -> Result<BTreeMap<CredentialName, GithubAppSecret>, Problem> {
    let mut apps = BTreeMap::new();
    for (name, place, path, node) in section.into_iter().flat_map(Section::into_named) {
        if let Some(secret) = app(&name, &path, place, node)? {
            apps.insert(CredentialName(name), secret);
        }
    }
    Ok(apps)
}

/// Reads one app; nothing when its id or key is unset.
pub(super) fn app(
    name: &str,
    path: &str,
    place: Place,
    node: Node,
) -> Result<Option<GithubAppSecret>, Problem> {
    check_env_name(name, place)?;
    let mut section = Section::new(path, node)?;
    let (id, key) = (section.scalar("app_id")?, section.scalar("private_key")?);
    let installation = section.scalar("installation_id")?;
    let scopes = section.list("scopes")?;
    let foreign = section.scalar("allow_foreign_credentials")?;
    let foreign = foreign.map(|scalar| scalar.boolean()).transpose()?;
    let base_url = base_url(&mut section)?;
    let mut permissions = BTreeMap::new();
    let all = section.section("permissions")?;
    for (key, place, path, node) in all.into_iter().flat_map(Section::into_named) {
        let Value::Scalar(value) = node.value else {
            return Err(Problem::at(place, format!("{path} must be a single value")));
        };
        permissions.insert(key, value);
    }
    let repositories = section.list("repositories")?.unwrap_or_default();
    section.end()?;
    let (Some(app_id), Some(private_key)) = (id, key) else {
        return Ok(None);
    };
    let missing = || Problem::at(place, format!("{path}.installation_id is required"));
    Ok(Some(GithubAppSecret {
        app_id: SecretString::from(app_id.text),
        private_key: SecretString::from(private_key.text),
        installation_id: installation.ok_or_else(missing)?.integer(1, u64::MAX)?,
        scopes: filled(scopes, path, "scopes", place)?,
        allow_foreign_credentials: foreign.unwrap_or(false),
        base_url,
        permissions,
        repositories,
    }))
}

/// An app's key must not be sent in the clear.
fn base_url(section: &mut Section) -> Result<String, Problem> {
    let Some(url) = section.scalar("base_url")? else {
        return Ok("https://api.github.com".to_owned());
    };
    if !url.text.starts_with("https://") || url.text.contains(['?', '#', '@']) {
        let what = format!(
            "{} must be an https:// address without more than a path",
            url.path
        );
        return Err(Problem::at(url.place, what));
    }
    Ok(url.text.trim_end_matches('/').to_owned())
}

/// Returns a list that names something.
///
/// # Errors
/// [`Problem`] for none, an empty one, and one with an empty item.
pub(super) fn filled(
    list: Option<Vec<String>>,
    path: &str,
    key: &str,
    place: Place,
) -> Result<Vec<String>, Problem> {
    let list = list.filter(|list| !list.is_empty() && !list.contains(&String::new()));
    let missing = || format!("{path}.{key} must name at least one pattern");
    list.ok_or_else(|| Problem::at(place, missing()))
}

/// Reads `{name, value}`; nothing where the value is unset or empty.
fn named(
    section: &mut Section,
    key: &'static str,
    place: Place,
) -> Result<Option<NamedSecret>, Problem> {
    let Some(mut section) = section.section(key)? else {
        return Ok(None);
    };
    let name = section.required("name")?;
    check_env_name(&name.text, name.place)?;
    let value = section.scalar("value")?;
    section.end()?;
    let Some(value) = value.filter(|value| !value.text.is_empty()) else {
        return Ok(None);
    };
    if value.text.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
        let what = format!("the value of {} has characters no AWS key has", name.text);
        return Err(Problem::at(place, what));
    }
    Ok(Some(NamedSecret {
        name: name.text,
        value: SecretString::from(value.text),
    }))
}
