//! Every text of the console, in each of its languages.
//!
//! A text has one line in the table, with one column for each language; the compiler refuses a line that lacks one. A
//! further language is a further column, and a variant of [`Language`].

use http::{HeaderMap, header};

use super::cookies::Cookie;

macro_rules! messages {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        /// The texts in one language.
        pub(crate) struct Messages {
            $(pub(crate) $name: &'static str,)*
        }

        static ENGLISH: Messages = Messages { $($name: $english,)* };
        static CHINESE: Messages = Messages { $($name: $chinese,)* };

        #[cfg(test)]
        const TABLE: &[(&str, [&str; 2])] = &[$((stringify!($name), [$english, $chinese]),)*];
    };
}

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The language of a tag, or of one that begins with it.
    pub(crate) fn named(tag: &str) -> Option<Self> {
        let main = tag.split(['-', ';']).next().unwrap_or_default().trim();
        match main.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The reader's: what was chosen, else the first that the browser names and that there is.
    pub(crate) fn of(headers: &HeaderMap, secure: bool) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let chosen = Cookie::Language.read(headers, secure).and_then(Self::named);
        let named = || accepted.unwrap_or_default().split(',').find_map(Self::named);
        chosen.or_else(named).unwrap_or(Self::English)
    }

    /// Its tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }

    /// Every language: its tag, and what it calls itself.
    pub(crate) const fn all(self) -> &'static [(&'static str, &'static str)] {
        &[("en", "English"), ("zh-Hans", "简体中文")]
    }

    /// Its texts.
    pub(crate) const fn messages(self) -> &'static Messages {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

impl Messages {
    /// What a page says after something was done.
    pub(crate) fn done(&self, word: &str) -> Option<&'static str> {
        Some(match word {
            "created" => self.created_done,
            "saved" => self.saved,
            "deleted" => self.deleted,
            "not_sure" => self.not_sure,
            "revoked" => self.revoked,
            "session_ended" => self.session_ended,
            "password_changed" => self.password_changed,
            "channel_answers" => self.channel_answers,
            _ => return None,
        })
    }
}

messages! {
    skip: "Skip to the content", "跳到内容";
    navigation: "Main", "主导航";
    pages: "Pages", "分页";
    dashboard: "Dashboard", "概览";
    api_keys: "API keys", "API 密钥";
    api_key: "API key", "API 密钥";
    usage: "Usage", "用量";
    models: "Models", "模型";
    model: "Model", "模型";
    settings: "Settings", "设置";
    administration: "Administration", "管理";
    channels: "Channels", "渠道";
    channel: "Channel", "渠道";
    accounts: "Accounts", "账户";
    groups: "Groups", "分组";
    group: "Group", "分组";
    prices: "Prices", "价格";
    audit: "Audit record", "审计记录";
    signed_in_as: "Signed in as", "当前登录：";
    sign_in: "Sign in", "登录";
    sign_out: "Sign out", "退出登录";
    sign_in_intro: "Open the console of this gateway.", "打开本网关的控制台。";
    sign_in_set_up: "This gateway waits to be set up, with the link that its first start printed.", "本网关尚未完成初始化，请使用首次启动时打印的链接。";
    sign_in_ended: "Your session has ended. Sign in again to go on.", "会话已结束，请重新登录。";
    sign_in_wrong: "The username or the password is not right.", "用户名或密码不正确。";
    sign_in_too_often: "Too many attempts. Wait some minutes and try again.", "尝试次数过多，请稍等几分钟再试。";
    username: "Username", "用户名";
    password: "Password", "密码";
    password_new: "New password", "新密码";
    password_again: "New password, once more", "再次输入新密码";
    password_current: "Current password", "当前密码";
    password_change: "Change the password", "修改密码";
    password_changed: "The password is changed; other sessions have ended.", "密码已修改，其他会话已结束。";
    password_differs: "The two passwords differ.", "两次输入的密码不一致。";
    password_hint: "At least 10 characters. A few words that only you would put together are good.", "至少 10 个字符。几个只有你会组合在一起的词就很好。";
    password_optional: "At least 10 characters. Without one the account cannot open the console.", "至少 10 个字符。没有密码的账户无法打开控制台。";
    password_set: "Set a password", "设置密码";
    set_up: "Set up", "初始化";
    set_up_welcome: "Welcome to Apsis", "欢迎使用 Apsis";
    set_up_intro: "Three steps to the first answer: a password for the account root, a channel to a provider, and an API key.", "三步得到第一个回答：为 root 账户设置密码、添加通往提供商的渠道、创建 API 密钥。";
    set_up_step_password: "Password", "密码";
    set_up_step_channel: "Channel", "渠道";
    set_up_step_key: "API key", "API 密钥";
    set_up_token: "Set-up token", "初始化令牌";
    set_up_token_hint: "It stands in the link that the server printed when it started, behind the #, and works for an hour.", "它位于服务器启动时打印的链接中 # 之后，一小时内有效。";
    set_up_token_wrong: "This is not the set-up token, or it has ended. Start the server again for a new one.", "初始化令牌不正确或已失效。重新启动服务器即可得到新的令牌。";
    set_up_go_on: "Set the password and go on", "设置密码并继续";
    set_up_done: "This gateway is set up already, or its set-up token has ended. A start of the server offers a new one as long as none was used.", "本网关已完成初始化，或初始化令牌已失效。只要令牌尚未被使用，重新启动服务器就会提供新的令牌。";
    set_up_channel_title: "The first channel", "第一个渠道";
    set_up_channel_intro: "A channel is a way to a provider. It is tested with one small request before it is kept.", "渠道是通往提供商的路径。保存之前会用一个小请求测试它。";
    set_up_channel_go: "Test it and go on", "测试并继续";
    set_up_skip: "Skip this step", "跳过此步";
    set_up_key_title: "The first API key", "第一个 API 密钥";
    set_up_key_intro: "Programs call models with a key. It can spend its quota and not a unit more.", "程序使用密钥调用模型。密钥只能花费其额度，一分不多。";
    set_up_key_go: "Create the key", "创建密钥";
    set_up_ready: "All set", "一切就绪";
    set_up_ready_intro: "Copy the key now; later it can be shown again on its own page.", "现在就复制密钥；以后也可以在它自己的页面上再次显示。";
    set_up_request: "A request to try it", "试一试的请求";
    channel_answers: "The channel answers.", "渠道应答正常。";
    name: "Name", "名称";
    base_url: "Base URL", "基础 URL";
    base_url_hint: "Empty for the provider's own, where it has one for everybody.", "留空则使用供应商的公共地址（如果有）。";
    provider_kind: "Provider", "供应商";
    upstream_key: "API key of the provider", "提供商的 API 密钥";
    upstream_key_hint: "It is stored sealed and never shown again.", "它会被加密保存，不会再次显示。";
    upstream_key_keep: "Leave it empty to keep what is there; a new base URL needs it again.", "留空则保持不变；更换基础 URL 时需要重新填写。";
    price_input: "Input, USD per million tokens", "输入，美元 / 百万 token";
    price_output: "Output, USD per million tokens", "输出，美元 / 百万 token";
    price_cached: "Cached input, USD per million", "缓存输入，美元 / 百万";
    price_cache_write: "Cache write, USD per million", "缓存写入，美元 / 百万";
    price_call: "USD per call", "美元 / 次";
    price_per_million: "Price of a million", "每百万价格";
    max_output: "Most output tokens", "最大输出 token 数";
    reasoning: "Output may hide reasoning", "输出可能包含不可见的推理";
    quota: "Quota, in US dollars", "额度（美元）";
    quota_hint: "What remains from now on. 1 US dollar is 500,000 quota units.", "从现在起的剩余额度。1 美元等于 500,000 个额度单位。";
    copy: "Copy", "复制";
    copied: "Copied", "已复制";
    save: "Save", "保存";
    saved: "Saved.", "已保存。";
    created_done: "Created.", "已创建。";
    deleted: "Deleted.", "已删除。";
    not_sure: "Nothing was deleted: check the box beside the button first.", "未删除任何内容：请先勾选按钮旁的复选框。";
    revoked: "The token is revoked.", "令牌已吊销。";
    session_ended: "Ended.", "已结束。";
    back: "Back", "返回";
    edit: "Edit", "编辑";
    enable: "Enable", "启用";
    disable: "Disable", "停用";
    delete: "Delete", "删除";
    delete_for_good: "Delete for good", "永久删除";
    sure: "I am sure", "我确定";
    hide: "Hide", "隐藏";
    search: "Search", "搜索";
    search_name: "Search by name", "按名称搜索";
    filter: "Filter", "筛选";
    reset: "Reset", "重置";
    export: "Export as CSV", "导出 CSV";
    previous: "Previous", "上一页";
    next: "Next", "下一页";
    any: "Any", "全部";
    never: "Never", "永不";
    unlimited: "Unlimited", "无限制";
    nothing_found: "Nothing was found", "未找到任何内容";
    select: "Select", "选择";
    select_all: "Select all on this page", "选择本页全部";
    selected_keys: "Selected keys:", "所选密钥：";
    actions: "Actions", "操作";
    status: "Status", "状态";
    status_enabled: "Enabled", "启用";
    status_disabled: "Disabled", "停用";
    status_expired: "Expired", "已过期";
    status_exhausted: "Exhausted", "已用尽";
    used: "Used", "已用";
    remaining: "Remaining", "剩余";
    expires: "Expires", "过期时间";
    expires_utc: "Expires (UTC)", "过期时间（UTC）";
    expires_hint: "Empty for never.", "留空表示永不过期。";
    created: "Created", "创建时间";
    last_used: "Last used", "最近使用";
    group_own: "The account's own", "账户自己的分组";
    group_auto: "Automatic, in the account's order", "自动，按账户的顺序";
    key_new: "New API key", "新建 API 密钥";
    key_create: "Create the key", "创建密钥";
    keys_none: "No API keys yet", "还没有 API 密钥";
    keys_none_hint: "A program calls models with a key. Create one for each program, so that each has its own quota.", "程序使用密钥调用模型。为每个程序创建一个密钥，让它们各有额度。";
    key_what: "What it is", "基本信息";
    key_how_much: "How much it may spend, and how long", "可用额度与有效期";
    key_what_for: "What for, and from where", "用途与来源";
    key_which_way: "Which way", "路由";
    key_unlimited: "No quota of its own: only the account's balance limits it", "没有自己的额度：仅受账户余额限制";
    key_limited: "Only the models below; an empty list allows none", "仅限以下模型；空列表表示一个都不允许";
    key_models: "Models", "模型";
    key_models_hint: "One a line. Served at the moment:", "每行一个。当前可用：";
    key_addresses: "Addresses", "地址";
    key_addresses_hint: "Addresses and ranges that it may be used from, one a line, such as 192.0.2.7 or 10.0.0.0/8. Empty for everywhere.", "允许使用的地址和网段，每行一个，例如 192.0.2.7 或 10.0.0.0/8。留空表示不限。";
    key_cross_group: "When all channels of a group fail, the next group of the automatic list is tried", "当一个分组的所有渠道都失败时，尝试自动列表中的下一个分组";
    key_settings: "What it may do", "权限";
    key_show: "Show the key", "显示密钥";
    key_show_hint: "That it was shown is written to the audit record.", "显示密钥会写入审计记录。";
    key_shown_hint: "Whoever has this text can spend the key's quota.", "任何持有此文本的人都可以花费该密钥的额度。";
    key_delete_sure: "Programs that use it are refused from then on. Its usage records stay.", "使用它的程序此后将被拒绝。其用量记录会保留。";
    key_no_models: "None", "无";
    key_all_models: "All", "全部";
    key_all_addresses: "Everywhere", "不限";
    snippets: "Use it", "使用方法";
    snippets_hint: "Put the key into the environment variable APSIS_API_KEY first.", "请先将密钥放入环境变量 APSIS_API_KEY。";
    snippet_cursor: "Settings, Models, Override OpenAI Base URL:", "设置 → Models → Override OpenAI Base URL：";
    recent: "Latest requests", "最近的请求";
    usage_all: "All requests of this key", "该密钥的所有请求";
    usage_none: "No requests", "没有请求";
    usage_none_hint: "Each request stands here with its tokens and its cost, as soon as it has ended.", "每个请求结束后，其 token 和费用会显示在这里。";
    usage_answered: "Answered", "已应答";
    usage_failed: "Failed", "失败";
    usage_everybody: "Of all accounts", "所有账户";
    requests: "Requests", "请求";
    request: "Request", "请求";
    request_id: "Request id", "请求 ID";
    request_what: "What was asked", "请求内容";
    request_way: "Which way it went", "路由过程";
    errors: "Errors", "错误";
    cost: "Cost", "费用";
    time: "Time (UTC)", "时间（UTC）";
    tokens_in: "Input", "输入";
    tokens_out: "Output", "输出";
    tokens: "Tokens", "Token";
    first_byte: "First byte", "首字节";
    took: "Took", "耗时";
    from_utc: "From (UTC)", "从（UTC）";
    until_utc: "Until (UTC)", "到（UTC）";
    outcome: "Outcome", "结果";
    client: "Client address", "客户端地址";
    door: "Path", "路径";
    streamed: "streamed", "流式";
    attempts: "Attempts", "尝试次数";
    charge: "How the charge is made up", "费用明细";
    kind: "Kind", "类型";
    quantity: "Quantity", "数量";
    charge_ratio: "Ratio of the group", "分组倍率";
    charged: "Charged", "已收取";
    charge_hint: "The sum is multiplied by the ratio and rounded up once, to a quota unit.", "合计乘以倍率，然后只向上取整一次到额度单位。";
    provenance: "Tokens", "Token 来源";
    reasoning_tokens: "of them reasoning", "其中推理";
    overrun: "Claimed beyond the hold, not charged", "超出预扣、未收取";
    balance: "Balance", "余额";
    balance_usd: "Balance, in US dollars", "余额（美元）";
    balance_unlimited: "No limit", "无限制";
    used_in_all: "Used in all", "累计已用";
    days_left: "Days left", "剩余天数";
    month_cost: "Spent this month", "本月花费";
    month_requests: "Requests this month", "本月请求";
    spend_by_day: "Spend by day, last 30 days", "最近 30 天每日花费";
    most: "Most in a day:", "单日最高：";
    as_table: "As a table", "以表格显示";
    day: "Day", "日期";
    by_model: "By model, last 30 days", "最近 30 天各模型";
    attention: "Needs attention", "需要注意";
    attention_none: "Nothing. Keys that are nearly used up, or end within a week, stand here.", "没有。即将用尽或一周内过期的密钥会显示在这里。";
    models_intro: "Prices are multiplied by the ratio of the group that serves:", "价格会乘以提供服务的分组的倍率：";
    models_mine: "Served in your groups", "在你的分组中可用";
    models_not_served: "Not served", "不可用";
    profile: "Profile", "资料";
    display_name: "Display name", "显示名称";
    email: "Email", "邮箱";
    tokens_personal: "Personal access tokens", "个人访问令牌";
    tokens_personal_intro: "They open the management API of this account, for programs and the command line.", "它们为程序和命令行打开此账户的管理 API。";
    tokens_none: "No tokens yet", "还没有令牌";
    token_create: "Create a token", "创建令牌";
    token_made: "Copy the token now. It is not shown again.", "请立即复制令牌，它不会再次显示。";
    revoke: "Revoke", "吊销";
    sessions: "Sessions", "会话";
    sessions_end_others: "End all others", "结束其他所有会话";
    session_this: "This one", "当前会话";
    session_end: "End", "结束";
    browser: "Browser", "浏览器";
    language: "Language", "语言";
    theme: "Theme", "主题";
    theme_auto: "As the system", "跟随系统";
    theme_light: "Light", "浅色";
    theme_dark: "Dark", "深色";
    channel_new: "New channel", "新建渠道";
    channels_none: "No channels yet", "还没有渠道";
    channels_none_hint: "A channel is a way to a provider: its URL, its key, and the models that it serves.", "渠道是通往提供商的路径：URL、密钥以及它提供的模型。";
    channel_delete_sure: "No request takes it from then on. Its usage records stay.", "此后不再有请求经过它。其用量记录会保留。";
    channel_enabled: "In use", "使用中";
    health: "Health", "健康";
    health_fit: "Fit", "正常";
    health_no_credential: "No credential", "没有可用凭据";
    health_resting: "Resting", "休息中";
    health_open: "Failing", "故障中";
    health_probing: "Being probed", "探测中";
    health_unknown: "Unknown", "未知";
    credentials: "Credentials", "凭据";
    refused: "refused", "被拒绝";
    priority: "Priority, higher first", "优先级，高者优先";
    weight: "Weight", "权重";
    priority_weight: "Priority / weight", "优先级 / 权重";
    mapping: "Names at the provider", "提供商处的名称";
    mapping_hint: "One a line, such as gpt-5 = gpt-5-2025-08-07.", "每行一个，例如 gpt-5 = gpt-5-2025-08-07。";
    one_a_line: "One a line.", "每行一个。";
    test: "Test", "测试";
    test_passed: "it answers", "应答正常";
    test_failed: "The test failed:", "测试失败：";
    account_new: "New account", "新建账户";
    account_enabled: "May be used", "允许使用";
    role: "Role", "角色";
    role_member: "Member", "成员";
    role_administrator: "Administrator", "管理员";
    role_root: "Root", "超级管理员";
    groups_more: "Further groups, comma separated", "其他分组，以逗号分隔";
    groups_auto: "Automatic list, in order", "自动列表，按顺序";
    description: "Description", "说明";
    ratio: "Ratio", "倍率";
    ratio_hint: "Every price is multiplied by it.", "所有价格都会乘以它。";
    group_put: "Make or change a group", "新建或修改分组";
    prices_intro: "A price is in force from the moment it is set. Requests keep the price that they began with.", "价格自设置起生效。请求保持其开始时的价格。";
    prices_none: "No prices yet: a model without one is refused.", "还没有价格：没有价格的模型会被拒绝。";
    price_confirm: "The price is meant, although it is more than tenfold the present one or less than a tenth of it", "价格无误，尽管它超过当前价格的十倍或不足其十分之一";
    price_put: "Set the price of a model", "设置模型价格";
    actor: "Who", "操作者";
    what: "What", "操作";
    changes: "Changes", "变更";
    to_the_dashboard: "To the dashboard", "前往概览";
    problem_forbidden: "This needs a higher role", "需要更高的角色";
    problem_forbidden_cure: "An administrator can change the role of your account.", "管理员可以更改你的账户角色。";
    problem_nowhere: "There is nothing here", "这里什么也没有";
    problem_nowhere_cure: "It was deleted, or it belongs to somebody else, or the address is not right.", "它可能已被删除、属于他人，或者地址不正确。";
    problem_forged: "The form was not accepted", "表单未被接受";
    problem_forged_cure: "It was too old, or did not come from this console. Go back, load the page again, and send it once more.", "表单已过期，或并非来自本控制台。请返回、重新加载页面后再次提交。";
    problem_refused: "That did not work", "操作未成功";
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_text_says_something_in_every_language() {
        for (name, texts) in TABLE {
            for text in texts {
                assert!(!text.trim().is_empty(), "{name}");
                assert!(!text.contains(['<', '{']), "{name}: {text}");
            }
            let chinese = texts[1].chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(chinese || texts[1] == "Token", "{name} is not translated");
        }
    }

    #[test]
    fn the_reader_decides_before_the_browser() {
        let mut headers = HeaderMap::new();
        assert_eq!(Language::of(&headers, false), Language::English);
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("fr, zh-CN;q=0.9, en;q=0.8"));
        assert_eq!(Language::of(&headers, false), Language::Chinese);
        headers.insert(header::COOKIE, HeaderValue::from_static("apsis-language=en"));
        assert_eq!(Language::of(&headers, false), Language::English);
    }
}
