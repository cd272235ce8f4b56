//! What each key of the configuration means: a line for a key, a column for a language.

use super::messages::Language;

const MEANINGS: &[(&str, [&str; 2])] = &[
    ("listen", ["Address and port of the server.", "服务器监听的地址和端口。"]),
    (
        "data_dir",
        [
            "Directory of the journal, the master key, the lock, and of the database where it is SQLite.",
            "存放日志、主密钥、锁以及 SQLite 数据库的目录。",
        ],
    ),
    (
        "master_key",
        [
            "The key above all others. Without it, the file master.key in the data directory.",
            "最高层密钥。未设置时使用数据目录中的 master.key 文件。",
        ],
    ),
    (
        "database_url",
        [
            "A PostgreSQL database instead of SQLite in the data directory.",
            "使用 PostgreSQL 数据库，代替数据目录中的 SQLite。",
        ],
    ),
    ("database.connections", ["Connections to PostgreSQL at most.", "到 PostgreSQL 的最大连接数。"]),
    (
        "database.statement_timeout",
        ["Longest time for one statement on PostgreSQL.", "PostgreSQL 单条语句的最长时间。"],
    ),
    (
        "worker_threads",
        ["Threads that serve requests; 0 is one for each core.", "处理请求的线程数；0 表示每个核心一个。"],
    ),
    (
        "public_url",
        [
            "The address that people and clients use. With https, cookies are for TLS alone and passkeys work.",
            "用户和客户端使用的地址。使用 https 时，cookie 仅限 TLS，且可使用通行密钥。",
        ],
    ),
    ("trusted_proxies", ["Proxies whose X-Forwarded-For is believed.", "信任其 X-Forwarded-For 的代理。"]),
    ("error_type", ["The type of errors in OpenAI's shape.", "OpenAI 格式错误中的 type。"]),
    (
        "log.format",
        [
            "text, json, or auto: text on a terminal, JSON elsewhere.",
            "text、json 或 auto（终端上为文本，其他情况为 JSON）。",
        ],
    ),
    ("log.level", ["A level, or a filter for parts of the program.", "日志级别，或针对程序各部分的过滤器。"]),
    ("limits.model_body", ["Largest body of a model request, in bytes.", "模型请求正文的最大字节数。"]),
    (
        "limits.management_body",
        ["Largest body of a management call, in bytes.", "管理调用正文的最大字节数。"],
    ),
    ("limits.answer", ["Largest whole answer of an upstream, in bytes.", "上游完整回答的最大字节数。"]),
    (
        "limits.bodies",
        [
            "Memory that large request bodies take at most, in bytes; 0 is an eighth of what there is. Large whole answers may take as much beside them.",
            "大型请求正文与大型完整回答各自最多占用的内存（字节）；0 表示可用内存的八分之一。",
        ],
    ),
    (
        "limits.realtime_message",
        [
            "Largest message of a realtime session, in bytes, either way.",
            "实时会话中单条消息的最大字节数（双向）。",
        ],
    ),
    ("limits.connections", ["Connections at a time; further ones wait.", "同时连接数；超出的连接需等待。"]),
    ("timeouts.header", ["Longest time for the head of a request.", "请求头的最长时间。"]),
    (
        "timeouts.body_idle",
        ["Longest pause between two parts of a request body.", "请求正文两部分之间的最长间隔。"],
    ),
    ("timeouts.body", ["Longest time for a whole request body.", "整个请求正文的最长时间。"]),
    (
        "timeouts.write",
        ["Longest time that a caller reads nothing of an answer.", "调用方不读取回答的最长时间。"],
    ),
    ("timeouts.connect", ["Longest time to connect to an upstream.", "连接上游的最长时间。"]),
    (
        "timeouts.first_byte",
        ["Longest time until an upstream begins to answer.", "上游开始回答前的最长时间。"],
    ),
    (
        "timeouts.idle",
        ["Longest pause between two parts of an upstream's answer.", "上游回答两部分之间的最长间隔。"],
    ),
    (
        "timeouts.answer",
        ["Longest time for an upstream's answer after its head.", "上游回答在响应头之后的最长时间。"],
    ),
    (
        "timeouts.job_poll",
        [
            "How soon the upstream is asked about a video for the first time.",
            "首次向上游查询视频任务的间隔。",
        ],
    ),
    (
        "timeouts.realtime_idle",
        [
            "Longest time that nobody says anything in a realtime session; then it is closed.",
            "实时会话中双方均无消息的最长时间，超过后关闭会话。",
        ],
    ),
    (
        "timeouts.drain",
        [
            "Longest time for open requests when the server is told to stop.",
            "服务器停止时留给未完成请求的最长时间。",
        ],
    ),
    (
        "routing.attempts_per_group",
        ["Channels that one request tries in a group at most.", "一个请求在一个分组中最多尝试的渠道数。"],
    ),
    (
        "routing.deadline",
        [
            "Longest time for all attempts of a request, up to the first byte.",
            "一个请求所有尝试（直到首字节）的最长总时间。",
        ],
    ),
    (
        "routing.cool_down",
        [
            "How long a credential rests after a 429 that does not say until when.",
            "429 未说明时长时凭据的休息时间。",
        ],
    ),
    (
        "routing.longest_cool_down",
        ["The longest rest that a provider may ask for.", "供应商可要求的最长休息时间。"],
    ),
    (
        "routing.retries_per_hundred",
        ["Retries that a hundred requests earn this server.", "每一百个请求为本服务器赚得的重试次数。"],
    ),
    (
        "routing.retries_per_second",
        ["Retries that a second earns this server.", "每秒为本服务器赚得的重试次数。"],
    ),
    (
        "routing.breaker_failures",
        ["Failures in a row that open a channel's breaker.", "使渠道熔断器打开的连续失败次数。"],
    ),
    (
        "routing.breaker_open",
        [
            "How long a breaker is open the first time; then ever longer.",
            "熔断器首次打开的时长；之后逐次延长。",
        ],
    ),
    ("routing.longest_breaker_open", ["The longest time that a breaker is open.", "熔断器打开的最长时间。"]),
    (
        "stream.keep_alive",
        [
            "How long a stream may say nothing before its caller is told that it goes on.",
            "流式回答在多长时间无内容后，向调用方发送保活信息。",
        ],
    ),
    (
        "stream.step",
        [
            "Output tokens that a stream holds ahead of what is delivered.",
            "流在交付之前预先占用的输出 token 数。",
        ],
    ),
    (
        "stream.minimum_output",
        [
            "Smallest output limit that is worth sending when a quota affords no more.",
            "额度不足时仍值得发送的最小输出上限。",
        ],
    ),
    ("upstream.allow_private", ["Private networks that upstreams may be in.", "允许上游所在的私有网络。"]),
    (
        "upstream.ca_file",
        [
            "Certificate authorities that upstreams may be certified by, beside Mozilla's list.",
            "除 Mozilla 列表外，可为上游签发证书的机构。",
        ],
    ),
    ("journal.segment_bytes", ["Size of a journal segment, in bytes.", "日志段的大小（字节）。"]),
    ("journal.apply_every", ["How soon a settlement is in the database.", "结算多快写入数据库。"]),
    (
        "journal.apply_records",
        ["Journal records in one transaction at most.", "一个事务中的最大日志记录数。"],
    ),
    (
        "journal.kept_for",
        [
            "How long the journal is kept after it is in the database, should that come back without its tail.",
            "日志写入数据库后仍保留的时间，以防数据库恢复后缺少最后的部分。",
        ],
    ),
    (
        "journal.kept_bytes",
        ["Bytes of the journal that are kept so at most.", "如此保留的日志的最大字节数。"],
    ),
    (
        "journal.flush_limit",
        [
            "How long a management call waits for the journal to be in the database.",
            "管理调用等待日志写入数据库的时间。",
        ],
    ),
    ("ledger.verify_every", ["How often the books are proved in the background.", "后台核对账目的频率。"]),
    (
        "ledger.dead_after",
        [
            "How long another server may be silent until what it has leased of quotas waits in suspense.",
            "其他服务器静默多久后，其租用的额度转入挂起状态等待处理。",
        ],
    ),
    (
        "usage.keep_days",
        ["Days that a usage record is kept; 0 is for ever.", "用量记录的保留天数；0 表示永久。"],
    ),
    (
        "usage.keep_records",
        ["Usage records that are kept at most; 0 is no limit.", "最多保留的用量记录数；0 表示不限。"],
    ),
    (
        "usage.keep_bytes",
        [
            "Bytes that usage records may take at most, about; 0 is no limit.",
            "用量记录最多占用的大致字节数；0 表示不限。",
        ],
    ),
    (
        "catalogue.shipped",
        [
            "Whether a start takes in models and prices that come with the program and are new to the database.",
            "启动时是否导入程序自带、数据库中尚无的模型和价格。",
        ],
    ),
];

/// What a key means; `None` for one that there is not.
pub(super) fn meaning(name: &str, language: Language) -> Option<&'static str> {
    let (_, [english, chinese]) = MEANINGS.iter().find(|(known, _)| *known == name)?;
    Some(match language {
        Language::English => english,
        Language::Chinese => chinese,
    })
}
