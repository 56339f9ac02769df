//! Reading one `Authentication-Results` field by the grammar of RFC 8601, section 2.2. Pure; whom to
//! believe, and what a result is worth, is not known here.
//!
//! Servers stray from the grammar in ways that are taken all the same, for none of them can be made
//! to say more than it does: properties without a type (Microsoft's `action=none`), values with
//! characters beyond those of a token (`header.b=a+/=`) or without any, an empty part at the end, and
//! a field without an authserv-id (Microsoft again). Everything else makes the field unreadable.

/// Most results of a field; one with more is not read.
const RESULTS_MAX: usize = 100;
/// Deepest comments within comments; a field with deeper ones is not read.
const DEPTH_MAX: u32 = 32;

/// What a server says of a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    /// The server's authserv-id as it stands; nothing when the field names none.
    pub server: Option<String>,
    /// The results, in their order.
    pub all: Vec<MethodResult>,
}

/// What one method came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodResult {
    /// The method, in lower case, for example `dmarc`.
    pub method: String,
    /// The result, in lower case, for example `pass`.
    pub result: String,
    /// `type.property`, or `property` alone, in lower case, and the value of each.
    pub properties: Vec<(String, String)>,
}

/// Why a field is not believed: it could be read in two ways.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the topmost Authentication-Results cannot be read: {0}")]
pub struct Unreadable(&'static str);

/// Reads a field's value; folded lines are joined already.
///
/// # Errors
/// [`Unreadable`].
pub fn read(field: &str) -> Result<Results, Unreadable> {
    let tokens = tokens(field)?;
    let mut parts = tokens.split(|token| *token == Token::Semicolon);
    let first = parts.next().unwrap_or_default();
    let mut results = Results::default();
    let is_result = first.contains(&Token::Equals);
    if is_result {
        results.all.push(method_result(first)?);
    } else {
        results.server = Some(server(first)?);
    }
    let parts: Vec<&[Token]> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        match part {
            [] if index + 1 == parts.len() => {}
            [Token::Word(none)] if none.eq_ignore_ascii_case("none") && parts.len() == 1 => {}
            part => results.all.push(method_result(part)?),
        }
    }
    if results.all.len() > RESULTS_MAX {
        return Err(Unreadable("it has too many results"));
    }
    Ok(results)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A run of characters with no meaning of their own.
    Word(String),
    /// What stood between quotes.
    Quoted(String),
    Equals,
    Semicolon,
    /// White space or a comment.
    Space,
}

/// Splits into tokens; spaces are kept between words only, where they separate.
fn tokens(field: &str) -> Result<Vec<Token>, Unreadable> {
    let mut tokens: Vec<Token> = vec![];
    let mut rest = field.chars();
    while let Some(character) = rest.next() {
        let token = match character {
            '=' => Token::Equals,
            ';' => Token::Semicolon,
            ' ' | '\t' => Token::Space,
            '(' => {
                skip_comment(&mut rest)?;
                Token::Space
            }
            '"' => Token::Quoted(quoted(&mut rest)?),
            ')' | '\\' => return Err(Unreadable("a comment or a quote is not balanced")),
            control if control.is_control() => {
                return Err(Unreadable("it has a control character"));
            }
            plain => {
                if let Some(Token::Word(word)) = tokens.last_mut() {
                    word.push(plain);
                    continue;
                }
                Token::Word(plain.to_string())
            }
        };
        tokens.push(token);
    }
    Ok(without_idle_spaces(&tokens))
}

/// Leaves one space where two words or quotes would touch.
fn without_idle_spaces(tokens: &[Token]) -> Vec<Token> {
    let is_text = |token: Option<&Token>| matches!(token, Some(Token::Word(_) | Token::Quoted(_)));
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let separates = || {
            let next = tokens[index..].iter().find(|token| **token != Token::Space);
            is_text(kept.last()) && is_text(next)
        };
        if *token != Token::Space || separates() {
            kept.push(token.clone());
        }
    }
    kept
}

fn skip_comment(rest: &mut std::str::Chars<'_>) -> Result<(), Unreadable> {
    let mut depth = 1;
    while depth > 0 {
        match rest.next() {
            Some('(') => depth += 1,
            Some(')') => depth -= 1,
            Some('\\') => drop(rest.next()),
            Some(_) => {}
            None => return Err(Unreadable("a comment does not end")),
        }
        if depth > DEPTH_MAX {
            return Err(Unreadable("its comments are too deep"));
        }
    }
    Ok(())
}

fn quoted(rest: &mut std::str::Chars<'_>) -> Result<String, Unreadable> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('"') => return Ok(text),
            Some('\\') => text.extend(rest.next()),
            Some(character) => text.push(character),
            None => return Err(Unreadable("a quote does not end")),
        }
    }
}

/// Reads `authserv-id [version]`. Only version 1 is known (RFC 8601, section 2.2).
fn server(part: &[Token]) -> Result<String, Unreadable> {
    match part {
        [Token::Word(server) | Token::Quoted(server)] => Ok(server.clone()),
        [
            Token::Word(server) | Token::Quoted(server),
            Token::Space,
            Token::Word(version),
        ] if version == "1" => Ok(server.clone()),
        _ => Err(Unreadable("it does not begin with one name of a server")),
    }
}

/// Reads `method[/version]=result [reason=value] [type.property=value]…`.
fn method_result(part: &[Token]) -> Result<MethodResult, Unreadable> {
    let malformed = Unreadable("a part is no result");
    let mut pairs = pairs(part).ok_or_else(|| malformed.clone())?.into_iter();
    let (method, result) = pairs.next().ok_or_else(|| malformed.clone())?;
    let (method, version) = method.split_once('/').unwrap_or((&method, "1"));
    let Value::Word(result) = result else {
        return Err(Unreadable("a result is quoted"));
    };
    if !is_keyword(method) || !is_keyword(&result) {
        return Err(malformed);
    }
    if version != "1" {
        return Err(Unreadable("a method has an unknown version"));
    }
    let mut properties = vec![];
    for (name, value) in pairs {
        let mut words = name.split('.');
        if !words.all(is_keyword) || name.split('.').count() > 2 {
            return Err(Unreadable("a property has no plain name"));
        }
        let (Value::Word(value) | Value::Quoted(value)) = value;
        properties.push((name.to_ascii_lowercase(), value));
    }
    Ok(MethodResult {
        method: method.to_ascii_lowercase(),
        result: result.to_ascii_lowercase(),
        properties,
    })
}

enum Value {
    Word(String),
    Quoted(String),
}

/// Reads `name = value` again and again; values may have equals signs, and may be missing.
fn pairs(part: &[Token]) -> Option<Vec<(String, Value)>> {
    let mut pairs = vec![];
    let mut rest = part;
    while !rest.is_empty() {
        let equals = rest.iter().position(|token| *token == Token::Equals)?;
        let (name, after) = (name(&rest[..equals])?, &rest[equals + 1..]);
        let end = after.iter().position(|token| *token == Token::Space);
        let (value, next) = after.split_at(end.unwrap_or(after.len()));
        rest = next.get(1..).unwrap_or_default();
        pairs.push((name, one_value(value)?));
    }
    Some(pairs)
}

/// Reads a name; white space may stand around its dot or slash.
fn name(tokens: &[Token]) -> Option<String> {
    let mut name = String::new();
    for token in tokens {
        match token {
            Token::Word(word)
                if name.is_empty()
                    || name.ends_with(['.', '/'])
                    || word.starts_with(['.', '/']) =>
            {
                name += word;
            }
            Token::Space => {}
            Token::Word(_) | Token::Quoted(_) | Token::Equals | Token::Semicolon => return None,
        }
    }
    Some(name)
}

fn one_value(tokens: &[Token]) -> Option<Value> {
    if let [Token::Quoted(text)] = tokens {
        return Some(Value::Quoted(text.clone()));
    }
    let text = |token: &Token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Equals => Some("=".to_owned()),
        // `"a b"@example.test` is an address; nothing else joins quotes to words.
        Token::Quoted(_) | Token::Semicolon | Token::Space => None,
    };
    let address = match tokens {
        [Token::Quoted(local), Token::Word(domain)] if domain.starts_with('@') => {
            return Some(Value::Quoted(format!("{local}{domain}")));
        }
        plain => plain.iter().map(text).collect::<Option<String>>()?,
    };
    Some(Value::Word(address))
}

/// `Ldh-str` of RFC 5321, which may not be empty; some servers write underscores.
fn is_keyword(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests;
