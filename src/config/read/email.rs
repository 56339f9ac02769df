//! `repos.<id>.email`: a mailbox and who may write to it. Pure.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use lettre::Address;
use lettre::message::Mailbox;
use secrecy::SecretString;

use crate::config::read::{DNS_PORT, port, text};
use crate::config::section::{Scalar, Section};
use crate::config::types::{Email, EmailAuth, Imap, MailTls, MicrosoftOauth2, Smtp, Verify};
use crate::config::yaml::Problem;

/// The words of the `tls` keys.
const TLS: [(&str, MailTls); 2] = [
    ("implicit", MailTls::Implicit),
    ("starttls", MailTls::StartTls),
];

/// Longest interval in seconds, a week; a longer one is an error.
const INTERVAL_S_MAX: f64 = 604_800.0;

/// Reads a mailbox.
pub(super) fn email(mut section: Section) -> Result<Email, Problem> {
    let tokens = section.section("microsoft_oauth2")?;
    let microsoft_oauth2 = tokens.map(read_oauth2).transpose()?.flatten();
    let mut account = required_section(&mut section, "account")?;
    let mut imap = required_section(&mut section, "imap")?;
    let mut smtp = required_section(&mut section, "smtp")?;
    let mut auth = required_section(&mut section, "auth")?;
    let email = Email {
        username: account.required("username")?.text,
        from: mailbox(&account.required("from")?)?,
        password: password(&mut account, microsoft_oauth2.is_some())?,
        microsoft_oauth2,
        imap: read_imap(&mut imap)?,
        smtp: read_smtp(&mut smtp)?,
        auth: read_auth(&mut auth)?,
        tls_ca_file: text(section.scalar("tls_ca_file")?).map(Into::into),
    };
    for part in [account, imap, smtp, auth, section] {
        part.end()?;
    }
    Ok(email)
}

fn password(account: &mut Section, has_tokens: bool) -> Result<Option<SecretString>, Problem> {
    let given = match has_tokens {
        true => text(account.scalar("password")?),
        false => Some(account.required("password")?.text),
    };
    Ok(given.map(SecretString::from))
}

/// Where Microsoft gives out tokens.
const MICROSOFT: &str = "https://login.microsoftonline.com";
/// What lets a program use any mailbox that it was permitted.
const OUTLOOK: &str = "https://outlook.office365.com/.default";

/// Reads where tokens come from; nothing when all three of its names are empty, as in the older
/// Airut. Some of them without the others are a mistake.
fn read_oauth2(mut section: Section) -> Result<Option<MicrosoftOauth2>, Problem> {
    let (place, path) = (section.place(), section.path_of("client_secret"));
    let tenant_id = section.scalar("tenant_id")?;
    let client_id = text(section.scalar("client_id")?);
    let client_secret = text(section.scalar("client_secret")?);
    let authority = section.scalar("authority")?;
    let scope = text(section.scalar("scope")?);
    section.end()?;
    let tenant_id = tenant_id.filter(|scalar| !scalar.text.trim().is_empty());
    let all = match (tenant_id, client_id, client_secret) {
        (Some(tenant), Some(client), Some(secret)) => (tenant_of(&tenant)?, client, secret),
        (None, None, None) => return Ok(None),
        _ => {
            let what = format!("{path}, tenant_id and client_id belong together: give all three");
            return Err(Problem::at(place, what));
        }
    };
    let (tenant_id, client_id, client_secret) = all;
    Ok(Some(MicrosoftOauth2 {
        tenant_id,
        client_id,
        client_secret: client_secret.into(),
        authority: authority.map_or_else(|| Ok(MICROSOFT.to_owned()), |at| authority_of(&at))?,
        scope: scope.unwrap_or_else(|| OUTLOOK.to_owned()),
    }))
}

fn tenant_of(scalar: &Scalar) -> Result<String, Problem> {
    let tenant = scalar.text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if tenant.chars().all(plain) {
        return Ok(tenant.to_owned());
    }
    Err(scalar.problem("is neither the id nor a domain of a directory"))
}

/// A secret goes there, so it must be https.
fn authority_of(scalar: &Scalar) -> Result<String, Problem> {
    let authority = scalar.text.trim().trim_end_matches('/');
    let expected = "an address such as https://login.microsoftonline.com";
    let uri = scalar.parse::<Uri>(expected)?;
    let is_https = uri.scheme_str() == Some("https") && uri.host().is_some();
    if !is_https || uri.query().is_some() {
        return Err(scalar.problem(&format!("is not {expected}")));
    }
    Ok(authority.to_owned())
}

/// Reads the `From` of answers; without a good one every answer would be refused.
fn mailbox(scalar: &Scalar) -> Result<String, Problem> {
    let expected = "an address, for example airut@example.com or \"Airut <airut@example.com>\"";
    scalar.parse::<Mailbox>(expected)?;
    Ok(scalar.text.trim().to_owned())
}

/// Reads who may write: an address, or `*@` and a domain.
fn sender(scalar: &Scalar) -> Result<String, Problem> {
    let pattern = scalar.text.trim();
    let address = match pattern.strip_prefix("*@") {
        Some(domain) => format!("anybody@{domain}"),
        None => pattern.to_owned(),
    };
    match address.parse::<Address>() {
        Ok(_) if !address.contains('*') => Ok(pattern.to_owned()),
        Ok(_) | Err(_) => {
            let what = format!(
                "names {pattern:?}, which is neither an address nor *@ and a domain, for example \
                 alice@example.com or *@example.com"
            );
            Err(scalar.problem(&what))
        }
    }
}

fn required_section(section: &mut Section, key: &'static str) -> Result<Section, Problem> {
    let (place, path) = (section.place(), section.path_of(key));
    let missing = || Problem::at(place, format!("{path} is required"));
    section.section(key)?.ok_or_else(missing)
}

fn read_imap(section: &mut Section) -> Result<Imap, Problem> {
    let server = section.required("server")?.text;
    let number = section
        .scalar("port")?
        .map(|scalar| port(&scalar))
        .transpose()?
        .unwrap_or(993);
    let tls = section
        .scalar("tls")?
        .map(|scalar| scalar.choice(&TLS))
        .transpose()?;
    let by_port = if number == 143 {
        MailTls::StartTls
    } else {
        MailTls::Implicit
    };
    let mut imap = Imap {
        server,
        port: number,
        tls: tls.unwrap_or(by_port),
        connect_retries: 3,
        poll_interval_s: 60.0,
        use_idle: true,
        idle_reconnect_interval_s: 1740.0,
        folder: "INBOX".to_owned(),
    };
    if let Some(scalar) = section.scalar("folder")? {
        imap.folder = folder(&scalar)?;
    }
    if let Some(scalar) = section.scalar("connect_retries")? {
        imap.connect_retries = scalar.integer(1, 1000)? as u32;
    }
    if let Some(scalar) = section.scalar("poll_interval")? {
        imap.poll_interval_s = scalar.number(0.1, INTERVAL_S_MAX)?;
    }
    if let Some(scalar) = section.scalar("use_idle")? {
        imap.use_idle = scalar.boolean()?;
    }
    if let Some(scalar) = section.scalar("idle_reconnect_interval")? {
        imap.idle_reconnect_interval_s = scalar.number(60.0, INTERVAL_S_MAX)?;
    }
    Ok(imap)
}

/// Longest name of a folder in characters; a longer one is an error.
const FOLDER_CHARS_MAX: usize = 250;

/// Reads the name of a folder; whether it is there the server says.
fn folder(scalar: &Scalar) -> Result<String, Problem> {
    let name = scalar.text.trim();
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    if is_name && name.chars().count() <= FOLDER_CHARS_MAX {
        return Ok(name.to_owned());
    }
    let expected = format!(
        "must name a folder, in at most {FOLDER_CHARS_MAX} characters, for example INBOX/Airut"
    );
    Err(scalar.problem(&expected))
}

fn read_smtp(section: &mut Section) -> Result<Smtp, Problem> {
    let server = section.required("server")?.text;
    let number = section
        .scalar("port")?
        .map(|scalar| port(&scalar))
        .transpose()?
        .unwrap_or(587);
    let tls = section
        .scalar("tls")?
        .map(|scalar| scalar.choice(&TLS))
        .transpose()?;
    let by_port = if number == 465 {
        MailTls::Implicit
    } else {
        MailTls::StartTls
    };
    let auth = section
        .scalar("require_auth")?
        .map(|scalar| scalar.boolean())
        .transpose()?;
    let (tls, require_auth) = (tls.unwrap_or(by_port), auth.unwrap_or(true));
    Ok(Smtp {
        server,
        port: number,
        tls,
        require_auth,
    })
}

/// Reads whose verification counts. A name server is named for it, and for nothing else.
fn verify(section: &mut Section) -> Result<Verify, Problem> {
    let (place, path) = (section.place(), section.path_of("resolver"));
    let choice = section.scalar("verify")?;
    let by_us = choice.map(|scalar| scalar.choice(&[("header", false), ("self", true)]));
    let resolver = section.scalar("resolver")?;
    match (by_us.transpose()?.unwrap_or(false), resolver) {
        (false, None) => Ok(Verify::Header),
        (true, Some(scalar)) => Ok(Verify::Ourselves {
            resolver: name_server(&scalar)?,
        }),
        (true, None) => {
            let what = format!("{path} is required with verify: self: the name server to ask");
            Err(Problem::at(place, what))
        }
        (false, Some(scalar)) => Err(scalar.problem("is used with verify: self only; remove it")),
    }
}

fn name_server(scalar: &Scalar) -> Result<SocketAddr, Problem> {
    let text = scalar.text.trim();
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.parse::<IpAddr>().ok();
    let address = with_port.or_else(|| Some(SocketAddr::from((alone()?, DNS_PORT))));
    address.ok_or_else(|| scalar.problem("must be an address, for example 192.0.2.53"))
}

fn read_auth(section: &mut Section) -> Result<EmailAuth, Problem> {
    let (place, path) = (section.place(), section.path_of("authorized_senders"));
    let senders = section
        .scalars("authorized_senders")?
        .filter(|senders| !senders.is_empty());
    let missing = || Problem::at(place, format!("{path} must name at least one sender"));
    let senders = senders.ok_or_else(missing)?;
    let authorized_senders = senders.iter().map(sender).collect::<Result<_, _>>()?;
    let path = section.path_of("trusted_authserv_id");
    // An empty text is an answer here: any server's verdict counts (spec row EML-14).
    let trusted = section.scalar("trusted_authserv_id")?;
    let missing = || {
        let what = format!(
            "{path} is required: the name your mail server writes into \
             Authentication-Results, or \"\" to trust any"
        );
        Problem::at(place, what)
    };
    let trusted_authserv_id = trusted.ok_or_else(missing)?.text;
    let fallback = section.scalar("microsoft_internal_fallback")?;
    let fallback = fallback
        .map(|scalar| scalar.boolean())
        .transpose()?
        .unwrap_or(false);
    let verify = verify(section)?;
    Ok(EmailAuth {
        authorized_senders,
        trusted_authserv_id,
        microsoft_internal_fallback: fallback,
        verify,
    })
}

#[cfg(test)]
mod tests;
