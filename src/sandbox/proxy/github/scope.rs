//! Whether a GraphQL request to GitHub stays within the repositories that an app may use (spec row
//! SEC-18). GitHub's own tokens are scoped too; this keeps out what a token can see beyond them,
//! public repositories above all. Whatever cannot be judged is refused. Pure.

use std::collections::{BTreeMap, BTreeSet};

use apollo_parser::cst::{Argument, Field, ObjectValue, Selection, SelectionSet, Value};
use serde_json::{Map, Value as Json};

use crate::sandbox::proxy::github::node_id::{Owner, owner};
use crate::sandbox::proxy::graphql::{Document, Posted};
use crate::sandbox::proxy::limits::GRAPHQL_BODY_BYTES_MAX;
use crate::sandbox::proxy::wire::AllowedRepository;

/// Connections that list repositories, or what belongs to some, of any owner.
const LISTINGS: [&str; 13] = [
    "commitComments",
    "contributionsCollection",
    "forks",
    "issueComments",
    "pinnableItems",
    "pinnedItems",
    "repositories",
    "repositoriesContributedTo",
    "repositoryDiscussionComments",
    "repositoryDiscussions",
    "starredRepositories",
    "topRepositories",
    "watching",
];

/// Fields that do so without any argument, or find a node by something that names no repository.
const NEVER: [&str; 4] = [
    "itemShowcase",
    "resource",
    "search",
    "viewerCopilotAuthoredWork",
];

/// What lists the work of an owner across repositories, directly below the owner.
const OWNERS: [&str; 4] = ["organization", "repositoryOwner", "user", "viewer"];
const WORK: [&str; 2] = ["issues", "pullRequests"];

/// The request is refused; the detail says what for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfScope(pub String);

/// Judges the body of a GraphQL request.
///
/// # Errors
/// [`OutOfScope`] unless everything that names a repository names one of `allowed`.
pub fn judge(body: &[u8], allowed: &[AllowedRepository]) -> Result<(), OutOfScope> {
    if body.len() > GRAPHQL_BODY_BYTES_MAX {
        return Err(OutOfScope("<too-large>".to_owned()));
    }
    let posted = Posted::read(body).map_err(|_| unparseable())?;
    let document = Document::read(&posted.query).map_err(|_| unparseable())?;
    let judge = Judge {
        names: allowed
            .iter()
            .map(|repository| repository.full_name.to_lowercase())
            .collect(),
        ids: allowed.iter().map(|known| known.node_id.as_str()).collect(),
        numbers: allowed
            .iter()
            .filter_map(|known| match owner(&known.node_id) {
                Owner::Repository(number) => Some(number),
                Owner::None | Owner::Unknown => None,
            })
            .collect(),
        variables: &posted.variables,
    };
    judge.document(&document)?;
    // Variables may hold whole inputs; all of them count, used or not.
    judge.fields(&posted.variables)
}

fn unparseable() -> OutOfScope {
    OutOfScope("<unparseable>".to_owned())
}

/// A field above another, by name and the values of its arguments.
struct Parent {
    name: String,
    arguments: BTreeMap<String, Json>,
}

struct Judge<'a> {
    names: BTreeSet<String>,
    ids: BTreeSet<&'a str>,
    numbers: BTreeSet<u64>,
    variables: &'a Map<String, Json>,
}

impl Judge<'_> {
    fn document(&self, document: &Document) -> Result<(), OutOfScope> {
        let operations = document.operations.iter().map(|one| one.selection_set());
        let fragments = document.fragments.iter().map(|one| one.selection_set());
        for selections in operations.chain(fragments) {
            self.selections(&selections.ok_or_else(unparseable)?, None)?;
        }
        Ok(())
    }

    fn selections(
        &self,
        selections: &SelectionSet,
        parent: Option<&Parent>,
    ) -> Result<(), OutOfScope> {
        for selection in selections.selections() {
            match selection {
                Selection::Field(field) => self.field(&field, parent)?,
                Selection::InlineFragment(fragment) => {
                    let inner = fragment.selection_set().ok_or_else(unparseable)?;
                    self.selections(&inner, parent)?;
                }
                // Each fragment is judged where it is defined, below a parent that is not known.
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn field(&self, field: &Field, parent: Option<&Parent>) -> Result<(), OutOfScope> {
        let name = field.name().ok_or_else(unparseable)?.text().to_string();
        let has_arguments = field.arguments().is_some();
        let lists = LISTINGS.contains(&name.as_str()) && has_arguments;
        let works = WORK.contains(&name.as_str())
            && parent.is_some_and(|parent| OWNERS.contains(&parent.name.as_str()));
        if lists || works || NEVER.contains(&name.as_str()) {
            return Err(OutOfScope(format!("<multi-repo:{name}>")));
        }
        let arguments = self.arguments(field)?;
        if name == "repository" && has_arguments {
            self.repository(&arguments, parent)?;
        }
        for (name, value) in &arguments {
            self.input(name, value)?;
        }
        match field.selection_set() {
            Some(selections) => self.selections(&selections, Some(&Parent { name, arguments })),
            None => Ok(()),
        }
    }

    /// Returns the values of a field's arguments; one that is told twice has none.
    fn arguments(&self, field: &Field) -> Result<BTreeMap<String, Json>, OutOfScope> {
        let mut values = BTreeMap::new();
        let told = field.arguments().into_iter();
        for argument in told.flat_map(|told| told.arguments()) {
            let (name, value) = self.argument(&argument)?;
            if values.insert(name, value).is_some() {
                return Err(unparseable());
            }
        }
        Ok(values)
    }

    fn argument(&self, argument: &Argument) -> Result<(String, Json), OutOfScope> {
        let name = argument.name().ok_or_else(unparseable)?.text().to_string();
        let value = argument.value().ok_or_else(unparseable)?;
        Ok((name, self.resolved(&value)?))
    }

    /// `repository(owner:, name:)`, or `repository(name:)` below something with a `login`.
    fn repository(
        &self,
        arguments: &BTreeMap<String, Json>,
        parent: Option<&Parent>,
    ) -> Result<(), OutOfScope> {
        let owner = arguments
            .get("owner")
            .or_else(|| parent.and_then(|parent| parent.arguments.get("login")));
        let text = |value: Option<&Json>| match value {
            None => Ok("<unknown>".to_owned()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(_) => Err(unparseable()),
        };
        self.named(&format!(
            "{}/{}",
            text(owner)?,
            text(arguments.get("name"))?
        ))
    }

    fn named(&self, full_name: &str) -> Result<(), OutOfScope> {
        if self.names.contains(&full_name.to_lowercase()) {
            return Ok(());
        }
        Err(OutOfScope(full_name.to_owned()))
    }

    /// Judges a value, and what is within it, by the name it is given to.
    fn input(&self, name: &str, value: &Json) -> Result<(), OutOfScope> {
        match value {
            Json::Object(fields) => self.fields(fields),
            Json::Array(items) => items.iter().try_for_each(|item| self.input(name, item)),
            Json::String(text) => self.text(name, text),
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }

    fn fields(&self, fields: &Map<String, Json>) -> Result<(), OutOfScope> {
        let mut fields = fields.iter();
        fields.try_for_each(|(name, value)| self.input(name, value))
    }

    fn text(&self, name: &str, text: &str) -> Result<(), OutOfScope> {
        if name == "repositoryNameWithOwner" {
            return self.named(text);
        }
        if !is_id(name) || self.ids.contains(text) {
            return Ok(());
        }
        match owner(text) {
            Owner::None if name != "repositoryId" => Ok(()),
            Owner::Repository(number) if self.numbers.contains(&number) => Ok(()),
            Owner::None | Owner::Repository(_) | Owner::Unknown => Err(OutOfScope(text.to_owned())),
        }
    }

    /// Returns a value with its variables put in.
    fn resolved(&self, value: &Value) -> Result<Json, OutOfScope> {
        Ok(match value {
            Value::Variable(variable) => {
                let name = variable.name().ok_or_else(unparseable)?;
                let value = self.variables.get(name.text().as_str());
                let unresolved = || OutOfScope("<unresolved-variable>".to_owned());
                value.cloned().ok_or_else(unresolved)?
            }
            Value::StringValue(text) => Json::String(text.into()),
            Value::ListValue(list) => Json::Array(
                list.values()
                    .map(|item| self.resolved(&item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::ObjectValue(object) => self.object(object)?,
            Value::NullValue(_)
            | Value::IntValue(_)
            | Value::FloatValue(_)
            | Value::BooleanValue(_)
            | Value::EnumValue(_) => Json::Null,
        })
    }

    /// Returns an input; a field that is told twice has no value.
    fn object(&self, object: &ObjectValue) -> Result<Json, OutOfScope> {
        let mut fields = Map::new();
        for field in object.object_fields() {
            let name = field.name().ok_or_else(unparseable)?.text().to_string();
            let value = self.resolved(&field.value().ok_or_else(unparseable)?)?;
            if fields.insert(name, value).is_some() {
                return Err(unparseable());
            }
        }
        Ok(Json::Object(fields))
    }
}

/// Names of inputs that hold node ids. Object ids of git end in `Oid`, which is not among them.
fn is_id(name: &str) -> bool {
    let bare = ["id", "ids", "ID", "IDS"].contains(&name);
    name != "clientMutationId" && (bare || name.ends_with("Id") || name.ends_with("Ids"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "R_kgDOABPHjQ";

    fn ask(query: &str, variables: &Json) -> Result<(), OutOfScope> {
        let allowed = [AllowedRepository {
            node_id: OURS.to_owned(),
            full_name: "Fleet/Ferry".to_owned(),
        }];
        let body = serde_json::json!({ "query": query, "variables": variables });
        judge(body.to_string().as_bytes(), &allowed)
    }

    #[track_caller]
    fn check(query: &str, variables: &Json, refused: Option<&str>) {
        let refusal = ask(query, variables).err();
        assert_eq!(
            refusal.as_ref().map(|why| why.0.as_str()),
            refused,
            "{query}"
        );
    }

    #[test]
    fn what_names_an_allowed_repository_passes() {
        let none = &Json::Null;
        let named = &serde_json::json!({ "o": "fleet", "n": "FERRY" });
        check(
            "{ repository(owner: \"fleet\", name: \"ferry\") { id } }",
            none,
            None,
        );
        check(
            "query($o: String!, $n: String!) { repository(owner: $o, name: $n) { id } }",
            named,
            None,
        );
        check(
            "{ organization(login: \"fleet\") { repository(name: \"ferry\") { id } } }",
            none,
            None,
        );
        check(&format!("{{ node(id: \"{OURS}\") {{ id }} }}"), none, None);
        check(
            "mutation { addComment(input: {subjectId: \"I_kgDOABPHjQ\", body: \"x\", clientMutationId: \"m\"}) { id } }",
            none,
            None,
        );
        check("{ viewer { login } }", none, None);
        check("{ node(id: \"U_kgDOABPHjQ\") { id } }", none, None);
    }

    #[test]
    fn what_reaches_beyond_is_refused() {
        let none = &Json::Null;
        for (query, why) in [
            (
                "{ a: repository(owner: \"other\", name: \"x\") { id } }",
                "other/x",
            ),
            (
                "{ viewer { repository(name: \"ferry\") { id } } }",
                "<unknown>/ferry",
            ),
            (
                "{ user(login: \"x\") { ...f } } fragment f on User { repository(name: \"ferry\") { id } }",
                "<unknown>/ferry",
            ),
            (
                "{ viewer { repositories(first: 9) { nodes { id } } } }",
                "<multi-repo:repositories>",
            ),
            (
                "{ viewer { ... on User { issues(first: 9) { nodes { id } } } } }",
                "<multi-repo:issues>",
            ),
            (
                "{ search(query: \"x\", type: REPOSITORY) { nodes { id } } }",
                "<multi-repo:search>",
            ),
            (
                "{ resource(url: \"https://github.com/other/x\") { id } }",
                "<multi-repo:resource>",
            ),
            ("{ nodes(ids: [\"R_kgDOABPHjg\"]) { id } }", "R_kgDOABPHjg"),
            (
                "{ node(id: \"MDEwOlJlcG9zaXRvcnkx\") { id } }",
                "MDEwOlJlcG9zaXRvcnkx",
            ),
            ("{ node(id: $id) { id } }", "<unresolved-variable>"),
            (
                "query($id: ID = \"R_kgDOABPHjg\") { node(id: $id) { id } }",
                "<unresolved-variable>",
            ),
            (
                "{ repository(owner: 1, name: \"x\") { id } }",
                "<unparseable>",
            ),
            ("{ repository(", "<unparseable>"),
        ] {
            check(query, none, Some(why));
        }
    }

    #[test]
    fn a_string_is_judged_by_what_it_says_however_it_is_written() {
        let none = &Json::Null;
        for ours in [
            OURS,
            "R_kgDOABP\\u0048jQ",
            "R_kgDOABP\\u{48}jQ",
            "\"\"R_kgDOABPHjQ\"\"",
        ] {
            check(&format!("{{ node(id: \"{ours}\") {{ id }} }}"), none, None);
        }
        let theirs = "{ node(id: \"R_kgDOABP\\u0048jg\") { id } }";
        check(theirs, none, Some("R_kgDOABPHjg"));
        let block = "{ repository(owner: \"\"\"other\"\"\", name: \"x\") { id } }";
        check(block, none, Some("other/x"));
    }

    #[test]
    fn variables_count_at_any_depth() {
        let query =
            "mutation($input: I!) { createCommitOnBranch(input: $input) { clientMutationId } }";
        let input = |name: &str| serde_json::json!({ "input": { "branch": { "repositoryNameWithOwner": name } } });
        check(query, &input("fleet/ferry"), None);
        check(query, &input("other/x"), Some("other/x"));
        let ids = serde_json::json!({ "unused": [{ "labelIds": ["LA_kgDOABPHjg"] }] });
        check("{ viewer { login } }", &ids, Some("LA_kgDOABPHjg"));
        let user = serde_json::json!({ "input": { "repositoryId": "U_kgDOABPHjQ" } });
        check(query, &user, Some("U_kgDOABPHjQ"));
    }

    #[test]
    fn what_is_no_single_request_is_refused() {
        for body in [
            "",
            "[]",
            "[{\"query\": \"{ viewer { login } }\"}]",
            "{}",
            "{\"query\": 1}",
            "{\"query\": \"{ viewer { login } }\", \"Query\": \"{ search }\"}",
            "{\"query\": \"{ viewer { login } }\", \"variables\": []}",
            "{\"query\": \"{ viewer { login } }\", \"extensions\": {\"persistedQuery\": {}}}",
            "{\"query\": \"{ node(id: null, id: null) { id } }\"}",
            "{\"query\": \"{ node(input: {a: 1, a: 2}) { id } }\"}",
        ] {
            assert_eq!(
                judge(body.as_bytes(), &[]),
                Err(OutOfScope("<unparseable>".to_owned()))
            );
        }
        let padded = |length: usize| {
            let start = "{\"query\": \"{ viewer { login } }\"}";
            format!("{start}{}", " ".repeat(length - start.len()))
        };
        assert!(judge(padded(GRAPHQL_BODY_BYTES_MAX - 1).as_bytes(), &[]).is_ok());
        assert!(judge(padded(GRAPHQL_BODY_BYTES_MAX).as_bytes(), &[]).is_ok());
        let longer = judge(padded(GRAPHQL_BODY_BYTES_MAX + 1).as_bytes(), &[]);
        assert_eq!(longer, Err(OutOfScope("<too-large>".to_owned())));
    }

    proptest! {
        #[test]
        fn any_query_is_judged_without_a_panic(query in "[{}()$a-z:\" \\[\\].]{0,60}") {
            let _judged = ask(&query, &Json::Null);
        }
    }
}
