//! The playground.

use crate::console::messages::messages;

messages! {
    intro: "Ask a model something. Each answer shows its tokens and its cost.", "向模型提问。每个回答都会显示其 token 和费用。";
    script: "The playground needs JavaScript.", "试用页面需要 JavaScript。";
    no_key: "No API key that works", "没有可用的 API 密钥";
    chat: "Chat", "对话";
    message: "Message", "消息";
    send: "Send", "发送";
    stop: "Stop", "停止";
    anew: "Begin anew", "重新开始";
    keys: "Enter sends, Shift and Enter begins a line.", "Enter 发送，Shift+Enter 换行。";
    system: "Instructions", "系统指令";
    temperature: "Temperature", "温度";
    stream: "Show the answer as it comes", "流式显示回答";
    charged: "Requests are charged to the key, as those of a program are.", "请求会计入该密钥，与程序的请求相同。";
    code: "The same as code", "对应的代码";
    you: "You", "你";
    thinking: "Waiting…", "正在等待……";
    stopped: "Stopped. What had come is charged.", "已停止。已收到的部分会计费。";
    lost: "The answer did not arrive. Load the page again and try once more.", "未收到回答。请重新加载页面后再试。";
    cause: "Cause and cure", "原因与解决办法";
    attach: "Attach an image", "附加图片";
    detach: "Remove", "移除";
    heavy: "Images of one question may have 8 MiB together.", "一次提问的图片合计不得超过 8 MiB。";
    made: "The image that the model made", "模型生成的图片";
    explained: "How it is charged", "费用说明";
}
