//! What the stand-in says, read by slack-morphism's models: what they cannot read, Slack would not say.

use serde::de::DeserializeOwned;
use serde_json::Value;
use slack_morphism::prelude::*;

use super::seen;

fn read<T: DeserializeOwned>(what: &str, value: &Value) {
    let read: Result<T, _> = serde_json::from_value(value.clone());
    if let Err(error) = read {
        panic!("{what}: {error}: {value}");
    }
}

/// Reads an answer; returns whether there is a model for it.
fn is_read(method: &str, answer: &Value) -> bool {
    let read: fn(&str, &Value) = match method {
        "apps.connections.open" => read::<SlackApiAppsConnectionOpenResponse>,
        "assistant.threads.setStatus" => read::<SlackApiAssistantThreadsSetStatusResponse>,
        "assistant.threads.setSuggestedPrompts" => {
            read::<SlackApiAssistantThreadsSetSuggestedPromptsResponse>
        }
        "assistant.threads.setTitle" => read::<SlackApiAssistantThreadSetTitleResponse>,
        "auth.test" => read::<SlackApiAuthTestResponse>,
        "bots.info" => read::<SlackApiBotsInfoResponse>,
        "chat.delete" => read::<SlackApiChatDeleteResponse>,
        "chat.getPermalink" => read::<SlackApiChatGetPermalinkResponse>,
        "chat.postEphemeral" => read::<SlackApiChatPostEphemeralResponse>,
        "chat.postMessage" => read::<SlackApiChatPostMessageResponse>,
        "chat.update" => read::<SlackApiChatUpdateResponse>,
        "conversations.history" => read::<SlackApiConversationsHistoryResponse>,
        "conversations.info" => read::<SlackApiConversationsInfoResponse>,
        "conversations.list" => read::<SlackApiConversationsListResponse>,
        "conversations.members" => read::<SlackApiConversationsMembersResponse>,
        "conversations.open" => read::<SlackApiConversationsOpenResponse<SlackBasicChannelInfo>>,
        "conversations.replies" => read::<SlackApiConversationsRepliesResponse>,
        "files.completeUploadExternal" => read::<SlackApiFilesCompleteUploadExternalResponse>,
        "files.delete" => read::<SlackApiFilesDeleteResponse>,
        "files.getUploadURLExternal" => read::<SlackApiFilesGetUploadUrlExternalResponse>,
        "files.info" => read::<SlackApiFilesInfoResponse>,
        "reactions.add" => read::<SlackApiReactionsAddResponse>,
        "reactions.get" => read::<SlackApiReactionsGetResponse>,
        "reactions.remove" => read::<SlackApiReactionsRemoveResponse>,
        "team.info" => read::<SlackApiTeamInfoResponse>,
        "usergroups.list" => read::<SlackApiUserGroupsListResponse>,
        "usergroups.users.list" => read::<SlackApiUserGroupsUsersListResponse>,
        "users.conversations" => read::<SlackApiUsersConversationsResponse>,
        "users.info" => read::<SlackApiUsersInfoResponse>,
        "users.list" => read::<SlackApiUsersListResponse>,
        _ => return false,
    };
    read(method, answer);
    true
}

#[tokio::test]
async fn slack_morphism_reads_every_answer_event_press_and_command() {
    let seen = seen().await;
    let unread: Vec<&str> = seen
        .answers
        .iter()
        .filter(|(method, answer)| !is_read(method, answer))
        .map(|(method, _)| method.as_str())
        .collect();
    assert_eq!(unread, ["api.test"], "methods without a model");
    let mut kinds: Vec<&str> = Vec::new();
    for frame in &seen.frames {
        let kind = frame["type"].as_str().unwrap();
        match kind {
            "events_api" => read::<SlackPushEventCallback>(kind, &frame["payload"]),
            "interactive" => read::<SlackInteractionEvent>(kind, &frame["payload"]),
            "slash_commands" => read::<SlackCommandEvent>(kind, &frame["payload"]),
            // Its models of these frames cannot be named from outside; its own listener reads them in
            // the tests of the channel.
            _ => {}
        }
        kinds.push(kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    let expected = [
        "disconnect",
        "events_api",
        "hello",
        "interactive",
        "slash_commands",
    ];
    assert_eq!(kinds, expected);
}
