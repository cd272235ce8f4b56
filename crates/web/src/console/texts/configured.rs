//! The page of the configuration in force; what each key means stands in `explained`.

use crate::console::messages::messages;

messages! {
    title: "Configuration", "配置";
    intro: "What this server was started with. It is read once, at the start: change a value where it came from and start the server again. Secrets are never shown.", "本服务器启动时采用的配置。配置仅在启动时读取：请在其来源处修改，然后重新启动服务器。机密内容从不显示。";
    from_default: "default", "默认值";
    from_file: "file %", "文件 %";
    from_environment: "environment: %", "环境变量：%";
    from_command_line: "command line", "命令行";
    instead: "default:", "默认：";
    nothing: "not set", "未设置";
    secret: "set, and not shown", "已设置，不予显示";
    general: "General", "常规";
    database: "Database", "数据库";
    log: "Log", "日志";
    limits: "Limits", "限制";
    timeouts: "Times", "时间";
    routing: "Routing", "路由";
    upstreams: "Upstreams and streams", "上游与流";
    books: "Journal and ledger", "日志与账本";
    usage: "Usage records", "用量记录";
    others: "Everything else", "其他";
}
