"""Why the procedure says no, in words a party can read, in the reader's language.

A refusal is raised with a code and the figures its sentence needs; the sentence is made when it is shown,
because the one who reads it may speak another language than the one who caused it.
"""

from __future__ import annotations

from functools import cache

LANGUAGES = ("en", "zh-CN")

_SENTENCES: dict[str, tuple[str, str]] = {
    "wrong_state": (
        "'{action}' is not possible while the case is {state}.",
        "案件处于“{state}”状态时不能执行“{action}”。",
    ),
    "not_permitted": ("A {role} may not do '{action}'.", "{role} 角色无权执行“{action}”。"),
    "not_a_party": ("You are not a party to this case.", "您不是本案当事人。"),
    "interest_declared": (
        "You have declared an interest in a party to this case; someone else must act.",
        "您已申报与本案当事人存在利害关系，须由他人处理。",
    ),
    "assigned_to_other": ("The case is in the hands of {assignee}.", "案件已由 {assignee} 受理。"),
    "already_yours": ("You already have this case.", "案件已在您名下。"),
    "not_assigned_to_you": ("Only the one who has the case can do this.", "只有受理人本人可以执行此操作。"),
    "own_offer": (
        "The open offer is your own; the other side answers it.",
        "当前方案由您提出，须由对方答复。",
    ),
    "counter_offers_exhausted": (
        "Your side has made its {limit} counter-offers; accept, decline or ask for mediation.",
        "您方的 {limit} 次反要约已用完，请接受、拒绝或申请平台介入。",
    ),
    "no_offer_made": (
        "The seller may ask for mediation once an offer was made.",
        "至少提出过一次方案后，卖家才可申请平台介入。",
    ),
    "no_pending_decision": ("There is no decision waiting for approval.", "没有待审批的裁决。"),
    "own_decision": ("Nobody approves a decision of their own.", "不得审批本人作出的裁决。"),
    "own_decision_appealed": (
        "Nobody hears an appeal against what they decided or approved.",
        "不得审理针对本人作出或批准之裁决的申诉。",
    ),
    "already_accepted": (
        "Your side has accepted the decision; it can be neither accepted again nor appealed.",
        "您方已接受裁决，不能再次接受或申诉。",
    ),
    "already_appealed": ("Your side has already appealed.", "您方已提出过申诉。"),
    "appeal_pending": (
        "The decision is under appeal; only a new decision can follow.",
        "裁决正在申诉审理中，只能由新的裁决取代。",
    ),
    "refund_failed": (
        "The refund's fate is unknown; only the refund itself can be dealt with now.",
        "退款结果不明，目前只能处理退款本身。",
    ),
    "refund_not_failed": ("No refund of this case has failed.", "本案没有失败的退款。"),
    "decision_issued": (
        "A decision was issued; the case can no longer be withdrawn.",
        "裁决已作出，案件不能再撤回。",
    ),
    "not_under_appeal": ("The case is not under appeal.", "本案不在申诉审理中。"),
    "case_final": ("The case is over; nothing can be added to it.", "案件已终结，不能再添加内容。"),
    "too_many_exhibits": (
        "One side may file {limit} exhibits in a case.",
        "每一方在一个案件中最多提交 {limit} 份证据。",
    ),
    "quote_does_not_stand": (
        "The message does not say this, to the letter; its real text is in `real_text`.",
        "该消息中没有这段原文，消息真实内容见 real_text。",
    ),
    "proposal_open": (
        "A mediator's proposal is open; accept or decline it before anything else is offered.",
        "调解员的调解方案尚待答复，请先接受或拒绝该方案。",
    ),
    "proposal_accepted": (
        "Your side has accepted the proposal; the other side's answer is awaited.",
        "您方已接受调解方案，正在等待对方答复。",
    ),
    "appeal_out_of_time": (
        "The time for an appeal is over.",
        "申诉期限已过。",
    ),
    "not_performed": (
        "The seller has not performed yet; there is nothing to confirm or dispute.",
        "卖家尚未履行，目前无可确认或争议的内容。",
    ),
    "already_performed": (
        "The seller has performed already; the buyer's answer is awaited.",
        "卖家已履行，正在等待买家确认。",
    ),
    "parcel_used": (
        "This parcel was named for a return of this order before; name the one that is on its way now.",
        "该运单已用于本订单此前的退货，请填写本次退货的运单。",
    ),
    "not_waiting_on_seller": ("The case is not waiting on the seller.", "案件当前不在等待卖家处理。"),
    "return_address_needed": (
        "The goods must go back, and no return address is on file: give one as return_address.",
        "需要退货，但没有可用的退货地址，请提供 return_address。",
    ),
    "consent_needed": (
        "The buyer must have consented to being handed over: consent must be true.",
        "转交案件须先征得买家同意：consent 必须为 true。",
    ),
    "unknown_category": (
        "'{value}' is not a category of the policies in force; known are: {known}.",
        "“{value}”不是现行规则中的类目；可用类目：{known}。",
    ),
    "own_hand_over": ("A case is handed over to somebody else.", "案件须转交给他人。"),
    "due_in_the_past": (
        "The due date must lie in the future; it is now {now}.",
        "截止时间必须晚于当前时间（现在为 {now}）。",
    ),
    "due_too_far": (
        "The due date may lie no later than {latest} by the policy '{row}'.",
        "根据规则“{row}”，截止时间最晚为 {latest}。",
    ),
    "not_an_extension": (
        "The new due date must be later than the present one, {due}.",
        "新的截止时间必须晚于当前截止时间（{due}）。",
    ),
    "suspension_too_long": (
        "A suspension on the ground '{ground}' may last until {latest} at the latest, all suspensions of the case "
        "counted.",
        "以“{ground}”为由的中止最晚可至 {latest}（含本案此前的中止时间）。",
    ),
    "ground_not_proven": (
        "The order's facts do not prove '{ground}'.",
        "订单事实不能证明“{ground}”。",
    ),
    "above_authority": (
        "The sum {amount} is above your authority of {limit}; it takes somebody who may order more.",
        "金额 {amount} 超出您的权限 {limit}，须由权限更高的人员处理。",
    ),
    "compensation_above_cap": (
        "Compensation for this order may come to {cap} at most by the policy '{row}'.",
        "根据规则“{row}”，本订单的赔偿总额最高为 {cap}。",
    ),
    "freight_above_cap": (
        "Return freight for this order may come to {cap} at most by the policy '{row}'.",
        "根据规则“{row}”，本订单的退货运费最高为 {cap}。",
    ),
    "item_not_open": (
        "This item of the evidence request is not open for your side.",
        "该举证事项当前不由您方提交。",
    ),
    "default_not_on_file": (
        "No such default of a side is on file in this case.",
        "本案没有该方逾期未举证的记录。",
    ),
    "exceeds_paid": (
        "The order does not have this sum left: paid sums minus what is reserved and refunded, over all its cases.",
        "该订单可退余额不足（实付减去所有案件已预留与已退金额）。",
    ),
    "case_not_final": (
        "What came from a side is erased once the case is over.",
        "案件终结后方可删除一方当事人的资料。",
    ),
    "already_answered": ("This redaction was approved or rejected already.", "该遮蔽申请已有处理结果。"),
    "words_erased": (
        "The words of this decision were erased; return it to the mediator, who decides anew.",
        "该裁决的文字内容已被删除；请退回调解员重新裁决。",
    ),
    "own_request": ("Nobody approves a redaction of their own.", "不得审批本人提出的遮蔽申请。"),
    "already_decided": (
        "A case about order line {line} for this reason was already decided.",
        "订单行 {line} 的同一事由已有裁决。",
    ),
}

#: Words of the closed lists in Chinese, for sentences only; the API's values never change with the language.
_ZH_WORDS = {
    "opened": "已发起", "seller_notified": "待卖家处理", "negotiating": "协商中", "seller_refused": "卖家已拒绝",
    "awaiting_return": "待买家退货", "awaiting_inspection": "待卖家验货", "awaiting_performance": "待履行",
    "awaiting_evidence": "举证中", "suspended": "已中止",
    "under_review": "平台介入中", "escalated": "已升级", "decided": "已裁决", "refund": "退款中",
    "refunded": "已退款", "closed": "已关闭", "buyer": "买家", "seller": "卖家", "mediator": "调解员",
    "senior": "高级调解员", "supervisor": "主管", "platform": "平台", "admin": "管理员", "clock": "时钟",
    "gateway": "支付网关", "system": "系统",
    "agreement": "双方协商", "court_docket": "法院立案", "police": "公安立案",
    "not_shipped": "未发货", "return_delivered": "退货已签收", "delivery_failed": "投递失败",
}  # fmt: skip

#: Figures that are words of ours; the others are ids, which may read like one.
_WORDS = frozenset({"state", "role", "ground"})


class Refused(Exception):
    """A rule of the procedure forbids the act. `code` names the rule; `sentence` says it to a reader."""

    def __init__(self, code: str, *, field: str | None = None, **figures: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.figures = figures

    def sentence(self, language: str = "en") -> str:
        """The rule in the reader's language (`en` unless `zh-CN` is asked for)."""
        return sentence(self.code, language, **self.figures)

    def __str__(self) -> str:
        return self.sentence()


class Conflict(Refused):
    """The act collides with what somebody else has done or holds."""


class WrongState(Conflict):
    """The case is not in a state in which this actor may do this; `possible` names what they may do now."""

    def __init__(self, *, action: str, state: str, possible: tuple[str, ...]) -> None:
        super().__init__("wrong_state", action=action, state=state)
        self.possible = possible

    def sentence(self, language: str = "en") -> str:
        """The rule in the reader's language; every answer tells it of a dozen actions, so each is put together once."""
        return _wrong_state(language, **self.figures)


class OutOfTime(Refused):
    """The time for the act is over."""


class NotPermitted(Refused):
    """This actor may not do this in any state."""


def sentence(code: str, language: str, **figures: object) -> str:
    """The sentence of `code`, its figures filled in. Raises KeyError for a code without a sentence."""
    english, chinese = _SENTENCES[code]
    if language == "zh-CN":
        return chinese.format(
            **{name: _ZH_WORDS.get(str(value), value) if name in _WORDS else value for name, value in figures.items()}
        )
    return english.format(**figures)


@cache
def _wrong_state(language: str, *, action: object, state: object) -> str:
    return sentence("wrong_state", language, action=action, state=state)


def codes() -> frozenset[str]:
    """Every code that has a sentence."""
    return frozenset(_SENTENCES)
