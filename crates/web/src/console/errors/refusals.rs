//! Cause and cure of every refusal of the model API.

use model::refusal::Refusal;

use super::Text;

/// Cause and cure of a refusal.
pub(super) const fn refused(refusal: &Refusal) -> (Text, Text) {
    match refusal {
        Refusal::MissingApiKey => (
            ["The request carries no API key.", "请求未携带 API 密钥。"],
            [
                "Send it as Authorization: Bearer sk-…, or in x-api-key or x-goog-api-key. Check that the environment variable that your program reads is set.",
                "以 Authorization: Bearer sk-… 发送，或使用 x-api-key、x-goog-api-key。请检查程序读取的环境变量是否已设置。",
            ],
        ),
        Refusal::InvalidApiKey => (
            [
                "The key is unknown here: mistyped, cut off, deleted, or made by another gateway. A personal access token is no API key.",
                "此网关不认识该密钥：可能输入有误、被截断、已删除，或来自其他网关。个人访问令牌不是 API 密钥。",
            ],
            [
                "Copy the key again from its page in the console. A key has 51 characters and begins with sk-.",
                "请在控制台的密钥页面重新复制。密钥共 51 个字符，以 sk- 开头。",
            ],
        ),
        Refusal::ConflictingCredentials => (
            [
                "The request carries two different API keys, in two headers or in a header and the address.",
                "请求携带了两个不同的 API 密钥（两个请求头，或请求头与地址）。",
            ],
            [
                "Send one. Often an environment variable adds a second one, such as ANTHROPIC_API_KEY beside ANTHROPIC_AUTH_TOKEN.",
                "只发送一个。常见原因是环境变量又添加了一个，例如 ANTHROPIC_AUTH_TOKEN 之外还有 ANTHROPIC_API_KEY。",
            ],
        ),
        Refusal::KeyDisabled => (
            ["The owner of the key has switched it off.", "密钥已被其所有者停用。"],
            [
                "Enable it on its page in the console, or use another key.",
                "在控制台的密钥页面启用它，或使用其他密钥。",
            ],
        ),
        Refusal::KeyExpired => (
            ["The moment at which the key ends has passed.", "密钥已超过有效期。"],
            [
                "Set a later moment on its page in the console; the key then works again by itself.",
                "在控制台的密钥页面设置更晚的过期时间，密钥会自动恢复。",
            ],
        ),
        Refusal::AccountDisabled => (
            [
                "An administrator has disabled the account that the key belongs to.",
                "管理员已停用该密钥所属的账户。",
            ],
            ["Ask an administrator.", "请联系管理员。"],
        ),
        Refusal::IpNotAllowed => (
            [
                "The key may be used only from listed addresses, and the request came from another one.",
                "密钥只能从列出的地址使用，而请求来自其他地址。",
            ],
            [
                "Add your address on the key's page. Behind a proxy, the operator names the proxy in trusted_proxies, so that your own address is seen.",
                "在密钥页面添加你的地址。若经过代理，运维人员需在 trusted_proxies 中声明该代理，才能识别你的真实地址。",
            ],
        ),
        Refusal::RequestTooLarge(_) => (
            ["The body of the request is longer than the gateway takes.", "请求体超过网关允许的大小。"],
            [
                "Send less at once, for instance smaller images or a shorter history. The operator sets the limit (limits.model_body).",
                "减少单次发送的内容，例如更小的图片或更短的历史。上限由运维人员设置（limits.model_body）。",
            ],
        ),
        Refusal::RequestTimeout => (
            ["The body of the request came too slowly, or stopped coming.", "请求体到达过慢或中断。"],
            [
                "Send it again; look at the connection between you and the gateway.",
                "请重试，并检查你与网关之间的连接。",
            ],
        ),
        Refusal::InvalidRequest(_) => (
            [
                "The body is no JSON, has a member of the wrong type, or asks for what the model's dialect cannot express. The message names the member.",
                "请求体不是 JSON、成员类型错误，或包含模型方言无法表达的内容。消息会指出具体成员。",
            ],
            ["Mend the member that the message names.", "修正消息中指出的成员。"],
        ),
        Refusal::ModelRequired => (
            ["The request names no model.", "请求未指定模型。"],
            [
                "Add the member model. GET /v1/models lists what the key may call.",
                "添加 model 成员。GET /v1/models 会列出该密钥可调用的模型。",
            ],
        ),
        Refusal::GroupNotAvailable(_) => (
            [
                "The key names a group that its account may not use, or that is gone.",
                "密钥指定的分组不存在，或其账户无权使用。",
            ],
            [
                "Choose another group on the key's page, or ask an administrator for access to this one.",
                "在密钥页面选择其他分组，或向管理员申请该分组的权限。",
            ],
        ),
        Refusal::ModelNotAllowed(_) => (
            [
                "The key has a list of models, and this one is not on it.",
                "密钥设有模型列表，而此模型不在其中。",
            ],
            [
                "Add the model on the key's page, or switch its list off.",
                "在密钥页面添加该模型，或关闭模型列表。",
            ],
        ),
        Refusal::ModelNotFound { .. } => (
            [
                "No channel that is in use serves the model in the key's group: the name is not right, the group does not have it, or all its channels rest.",
                "密钥所在分组中没有可用渠道提供该模型：名称有误、分组没有该模型，或其渠道都在休息。",
            ],
            [
                "Compare the name with GET /v1/models. An administrator sees under Channels which one should serve it and why it does not.",
                "用 GET /v1/models 核对名称。管理员可在“渠道”中查看应由哪个渠道提供以及原因。",
            ],
        ),
        Refusal::NotOffered { .. } => (
            ["The model is there, but not for this kind of request.", "该模型存在，但不支持这种请求。"],
            [
                "Use a path that fits the model: its page in the catalogue names them.",
                "使用适合该模型的路径，模型目录中有说明。",
            ],
        ),
        Refusal::ExtraUnknown { .. } => (
            [
                "The request asks for a tool of the provider's own or a term of service whose price with this model nobody has set.",
                "请求使用了服务商自带的工具或服务等级，但该模型没有相应价格。",
            ],
            [
                "Leave out what param names. An administrator sets its price under Prices, 0 (for a service tier 1) where it shall cost nothing more.",
                "去掉 param 所指的内容；或请管理员在“价格”中设置，不另收费时工具填 0，服务等级填 1。",
            ],
        ),
        Refusal::PriceUnknown(_) => (
            [
                "No price is known for the model, and what has no price cannot be charged.",
                "该模型没有价格，无法计费。",
            ],
            ["An administrator sets one under Prices.", "请管理员在“价格”中设置。"],
        ),
        Refusal::QuotaExhausted { .. } => (
            [
                "What remains of the key's quota does not cover what the request may cost at most.",
                "密钥的剩余额度不足以覆盖该请求的最高费用。",
            ],
            [
                "Raise the quota on the key's page, or ask for less: a smaller limit of output tokens lowers what is held.",
                "在密钥页面提高额度，或减少请求：更小的输出 token 上限会降低预扣。",
            ],
        ),
        Refusal::InsufficientBalance { .. } => (
            [
                "What remains of the account's balance does not cover what the request may cost at most.",
                "账户余额不足以覆盖该请求的最高费用。",
            ],
            [
                "An administrator adds to the balance. A smaller limit of output tokens lowers what is held.",
                "请管理员充值。更小的输出 token 上限会降低预扣。",
            ],
        ),
        Refusal::Unavailable => (
            [
                "The gateway takes no new requests at the moment: it stops, or its journal or database cannot be written.",
                "网关暂不接受新请求：正在停止，或日志、数据库无法写入。",
            ],
            [
                "Try again after the seconds in retry-after. When it stays, the operator looks at the disk and at /health/ready.",
                "按 retry-after 的秒数后重试。若持续存在，请运维人员检查磁盘和 /health/ready。",
            ],
        ),
        Refusal::UpstreamError => (
            [
                "The provider could not be reached, or broke off before it had answered, and no other channel could take over.",
                "无法连接提供商，或其在应答前中断，且没有其他渠道可以接替。",
            ],
            [
                "Try again. An administrator sees under Channels which one fails; nothing was charged.",
                "请重试。管理员可在“渠道”中查看故障渠道；未产生费用。",
            ],
        ),
        Refusal::UpstreamTimeout => (
            ["The provider took longer than the gateway waits.", "提供商应答超时。"],
            [
                "Try again, or stream the answer, so that it begins sooner. The operator sets the times (timeouts.*).",
                "请重试，或使用流式应答以便更早开始。等待时间由运维人员设置（timeouts.*）。",
            ],
        ),
        Refusal::Upstream { .. } => (
            [
                "The provider itself refused the request. Status, message and code are its own.",
                "提供商拒绝了请求。状态、消息和代码均来自提供商。",
            ],
            [
                "Look the code up in the provider's documents. 429 says that it is asked too often: wait for the seconds in retry-after.",
                "请查阅提供商文档。429 表示请求过于频繁：请等待 retry-after 的秒数。",
            ],
        ),
        Refusal::Internal => (
            ["A fault of the gateway.", "网关内部故障。"],
            [
                "Report it with the request id, which the operator finds in the log.",
                "请携带请求 ID 报告，运维人员可在日志中查到。",
            ],
        ),
    }
}
