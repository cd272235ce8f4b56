//! Cause and cure of every failure of a management call.

use gateway::Failure;

use super::Text;

/// Cause and cure of a failure.
pub(super) const fn failed(failure: &Failure) -> (Text, Text) {
    match failure {
        Failure::Unauthenticated => (
            [
                "The call carries no personal access token that is valid. An API key opens the model API alone.",
                "调用未携带有效的个人访问令牌。API 密钥只能用于模型 API。",
            ],
            [
                "Make a token in the console's settings and send it as Authorization.",
                "在控制台设置中创建令牌，并以 Authorization 发送。",
            ],
        ),
        Failure::Forbidden => (
            ["The account's role does not reach.", "账户的角色权限不足。"],
            ["Ask an administrator to do it, or for a higher role.", "请管理员代为操作，或申请更高角色。"],
        ),
        Failure::NotFound(_) => (
            ["There is no such thing, or it belongs to somebody else.", "该对象不存在，或属于他人。"],
            ["Look it up in a list first.", "请先在列表中确认。"],
        ),
        Failure::Invalid(_) => (
            [
                "A value is not allowed. The message names the member. Nothing was changed.",
                "某个值不被允许，消息会指出成员。未做任何更改。",
            ],
            ["Mend the member that the message names.", "修正消息中指出的成员。"],
        ),
        Failure::Conflict(_) => (
            [
                "It would contradict something that is there, such as a name that is taken.",
                "与现有内容冲突，例如名称已被占用。",
            ],
            ["Choose another value, or change what is there.", "换一个值，或修改现有内容。"],
        ),
        Failure::Unconfirmed(_) => (
            [
                "It is more likely a slip than meant, such as a price that leaps more than tenfold. Nothing was changed.",
                "这更像是失误，例如价格变化超过十倍。未做任何更改。",
            ],
            [
                "Look at the value again. When it is meant, say so as the message tells.",
                "请再次核对该值。如确实需要，请按消息中的说明确认。",
            ],
        ),
        Failure::NoAccessToGroup(_) => (
            ["The account may not use the group.", "账户无权使用该分组。"],
            [
                "Choose another group, or ask an administrator for access to this one.",
                "选择其他分组，或向管理员申请权限。",
            ],
        ),
        Failure::TooManyAttempts { .. } => (
            ["Too many wrong passwords or codes in 15 minutes.", "15 分钟内密码或验证码错误次数过多。"],
            ["Wait for the seconds in retry-after.", "请等待 retry-after 的秒数。"],
        ),
        Failure::Unavailable => (
            ["The database does not answer.", "数据库没有响应。"],
            [
                "Try again shortly. When it stays, the operator looks at the disk and at the log.",
                "请稍后重试。若持续存在，请运维人员检查磁盘和日志。",
            ],
        ),
    }
}
