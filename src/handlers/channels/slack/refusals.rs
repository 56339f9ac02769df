//! What each error that Slack answers a post with means for the message
//! (<https://docs.slack.dev/reference/methods/chat.postMessage#errors>). Pure.

/// What becomes of a message that Slack did not simply take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was not posted, and the same message never will be.
    Never,
    /// It was not posted; time or the operator may mend what is in the way.
    Later,
    /// Slack failed after it may have posted it.
    Unknown,
}

/// Every error that is documented for a post, sorted. `Never`: the message itself is refused, or the
/// place is gone for good. `Later`: a token, a scope, a membership or a setting is in the way, which
/// somebody can mend within the two days that a delivery is tried, or Slack is busy. `Unknown`: Slack
/// says itself that a part of it may have been done.
const FATES: &[(&str, Fate)] = &[
    ("access_denied", Fate::Later),
    ("accesslimited", Fate::Later),
    ("account_inactive", Fate::Later),
    ("app_access_restricted", Fate::Later),
    ("as_user_not_supported", Fate::Never),
    ("attachment_payload_limit_exceeded", Fate::Never),
    ("cannot_reply_to_message", Fate::Never),
    ("channel_not_found", Fate::Never),
    ("deprecated_endpoint", Fate::Never),
    ("ekm_access_denied", Fate::Later),
    ("enterprise_is_restricted", Fate::Never),
    ("external_channel_migrating", Fate::Later),
    ("fatal_error", Fate::Unknown),
    ("internal_error", Fate::Unknown),
    ("invalid_arg_name", Fate::Never),
    ("invalid_arguments", Fate::Never),
    ("invalid_array_arg", Fate::Never),
    ("invalid_auth", Fate::Later),
    ("invalid_blocks", Fate::Never),
    ("invalid_blocks_format", Fate::Never),
    ("invalid_charset", Fate::Never),
    ("invalid_form_data", Fate::Never),
    ("invalid_metadata_format", Fate::Never),
    ("invalid_metadata_schema", Fate::Never),
    ("invalid_post_type", Fate::Never),
    ("is_archived", Fate::Later),
    ("markdown_text_conflict", Fate::Never),
    ("message_limit_exceeded", Fate::Later),
    ("messages_tab_disabled", Fate::Never),
    ("metadata_must_be_sent_from_app", Fate::Never),
    ("metadata_too_large", Fate::Never),
    ("method_deprecated", Fate::Never),
    ("missing_post_type", Fate::Never),
    ("missing_scope", Fate::Later),
    ("msg_blocks_too_long", Fate::Never),
    ("msg_too_long", Fate::Never),
    ("no_permission", Fate::Later),
    ("no_text", Fate::Never),
    ("not_allowed_token_type", Fate::Later),
    ("not_authed", Fate::Later),
    ("not_in_channel", Fate::Later),
    ("org_login_required", Fate::Later),
    ("rate_limited", Fate::Later),
    ("ratelimited", Fate::Later),
    ("request_timeout", Fate::Unknown),
    ("restricted_action", Fate::Later),
    ("restricted_action_non_threadable_channel", Fate::Never),
    ("restricted_action_read_only_channel", Fate::Later),
    ("restricted_action_thread_locked", Fate::Never),
    ("restricted_action_thread_only_channel", Fate::Later),
    ("send_on_behalf_not_allowed", Fate::Never),
    ("service_unavailable", Fate::Later),
    ("slack_connect_canvas_sharing_blocked", Fate::Never),
    ("slack_connect_file_link_sharing_blocked", Fate::Never),
    ("slack_connect_lists_sharing_blocked", Fate::Never),
    ("team_access_not_granted", Fate::Later),
    ("team_added_to_org", Fate::Later),
    ("team_not_found", Fate::Later),
    ("thread_not_found", Fate::Never),
    ("token_expired", Fate::Later),
    ("token_revoked", Fate::Later),
    ("too_many_attachments", Fate::Never),
    ("two_factor_setup_required", Fate::Later),
    ("unknown_method", Fate::Never),
];

/// Returns what an error means; one that is not known is tried again, and its name is in the log.
pub fn fate(error: &str) -> Fate {
    let known = FATES.binary_search_by_key(&error, |(name, _)| name);
    known.map_or(Fate::Later, |at| FATES[at].1)
}

/// Returns what the operator can do about an error, where that is known.
pub fn remedy(error: &str) -> Option<&'static str> {
    Some(match error {
        "invalid_auth" | "token_revoked" | "token_expired" | "account_inactive" | "not_authed" => {
            "put the app's current bot token into the configuration"
        }
        "missing_scope" | "no_permission" | "not_allowed_token_type" => {
            "`airut check` says which scope is missing"
        }
        "not_in_channel" => "invite the app into the channel",
        "is_archived" => "the channel is archived",
        "channel_not_found" => "the channel is gone, or the app was removed from it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_error_once() {
        assert!(FATES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(FATES.iter().all(|(error, known)| fate(error) == *known));
    }

    #[test]
    fn an_error_says_whether_the_message_is_worth_another_try() {
        assert_eq!(fate("msg_too_long"), Fate::Never);
        assert_eq!(fate("not_in_channel"), Fate::Later);
        assert_eq!(fate("internal_error"), Fate::Unknown);
        assert_eq!(fate("of_tomorrow"), Fate::Later);
    }
}
