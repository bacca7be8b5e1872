#include "ui/widgets/message_bar.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QEvent>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QToolButton>

namespace ui {

MessageBar::MessageBar(QWidget* parent)
    : QFrame(parent),
      m_icon(new QLabel(this)),
      m_text(new QLabel(this)),
      m_action(new QPushButton(this)),
      m_second(new QPushButton(this)),
      m_details(new QPushButton(this)),
      m_copy(new QPushButton(this)),
      m_close(new QToolButton(this)),
      m_detailsView(new QPlainTextEdit(this))
{
    m_text->setWordWrap(true);
    m_text->setTextFormat(Qt::RichText);
    m_text->setTextInteractionFlags(Qt::TextSelectableByMouse);
    m_details->setCheckable(true);
    m_details->setProperty("link", true);
    m_copy->setProperty("link", true);
    m_detailsView->setReadOnly(true);
    m_detailsView->setMinimumHeight(44); // it is scrolled
    m_detailsView->setMaximumHeight(90);
    m_detailsView->setTabChangesFocus(true);

    m_row = new QHBoxLayout;
    m_row->setSpacing(10);
    m_row->addWidget(m_icon, 0, Qt::AlignTop);
    m_row->addWidget(m_text, 1);
    m_row->addWidget(m_second);
    m_row->addWidget(m_close, 0, Qt::AlignTop);
    m_below = new QHBoxLayout;
    m_below->setContentsMargins(30, 0, 0, 0);
    m_below->addWidget(m_details);
    m_below->addWidget(m_copy);
    m_below->addStretch(1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(14, 10, 10, 10);
    layout->addLayout(m_row);
    layout->addLayout(m_below);
    layout->addWidget(m_detailsView);

    connect(m_close, &QToolButton::clicked, this, &MessageBar::dismissShown);
    connect(m_details, &QPushButton::toggled, this, [this](bool on) {
        m_detailsView->setVisible(on);
        m_copy->setVisible(on);
    });
    connect(m_copy, &QPushButton::clicked, this,
        [this] { QApplication::clipboard()->setText(text() + QLatin1Char('\n') + m_message.details); });
    for (auto const& [button, choice] : { std::pair(m_action, &m_message.first), { m_second, &m_message.second } }) {
        connect(button, &QPushButton::clicked, this, [this, choice = choice] {
            auto const run = choice->action;
            dismissShown();
            if (run)
                run();
        });
        button->hide();
    }
    updateTexts();
    hide();
}

void MessageBar::showProblem(Problem const& problem, std::function<void()> remedy)
{
    QStringList rest;
    for (auto const& sentence : { problem.reason, problem.advice }) {
        if (!sentence.isEmpty())
            rest += sentence.toHtmlEscaped();
    }
    auto const button = remedy ? remedyText(problem.remedy) : QString();
    m_problem = Message { QStringLiteral("warning"),
        QStringLiteral("<b>%1</b> %2").arg(problem.title.toHtmlEscaped(), rest.join(QLatin1Char(' '))), problem.details,
        { button, std::move(remedy) }, {} };
    present(*m_problem);
}

void MessageBar::showNotice(QString const& text, QString const& button, std::function<void()> action)
{
    showChoice(text, { button, std::move(action) }, {});
}

void MessageBar::showChoice(QString const& text, Choice first, Choice second)
{
    present({ QStringLiteral("inspector"), text.toHtmlEscaped(), {}, std::move(first), std::move(second) });
}

void MessageBar::present(Message const& message)
{
    m_message = message;
    auto const& details = message.details;
    m_text->setText(message.text);
    m_action->setText(message.first.button);
    m_second->setText(message.second.button);
    // A problem has much to say, and needs the whole width for it.
    details.isEmpty() ? m_row->insertWidget(2, m_action) : m_below->insertWidget(0, m_action);
    for (auto* edge : std::initializer_list<QWidget*> { m_icon, m_close })
        m_row->setAlignment(edge, details.isEmpty() ? Qt::AlignVCenter : Qt::AlignTop);
    m_action->setVisible(!message.first.button.isEmpty());
    m_second->setVisible(!message.second.button.isEmpty());
    m_detailsView->setPlainText(details);
    m_details->setVisible(!details.isEmpty());
    m_details->setChecked(false);
    m_detailsView->hide();
    m_copy->hide();
    updateColors();
    show();
    setAccessibleName(this->text());
    QAccessibleEvent alert(this, QAccessible::Alert);
    QAccessible::updateAccessibility(&alert);
}

void MessageBar::dismiss()
{
    hide();
    m_message = {};
    m_problem.reset();
}

void MessageBar::dismissNotice()
{
    if (!isProblem())
        m_problem ? present(*m_problem) : dismiss();
}

void MessageBar::dismissShown()
{
    isProblem() ? dismiss() : dismissNotice();
}

bool MessageBar::isProblem() const
{
    return m_message.iconName == QLatin1String("warning");
}

QString MessageBar::text() const
{
    auto text = m_text->text();
    text.remove(QStringLiteral("<b>")).remove(QStringLiteral("</b>"));
    return text.replace(QStringLiteral("&quot;"), QStringLiteral("\""))
        .replace(QStringLiteral("&lt;"), QStringLiteral("<"))
        .replace(QStringLiteral("&gt;"), QStringLiteral(">"))
        .replace(QStringLiteral("&amp;"), QStringLiteral("&"));
}

void MessageBar::updateTexts()
{
    m_details->setText(tr("Details"));
    m_copy->setText(tr("Copy the details"));
    m_close->setToolTip(tr("Dismiss"));
    m_close->setAccessibleName(tr("Dismiss this message"));
    m_detailsView->setAccessibleName(tr("Details of the message"));
}

void MessageBar::updateColors()
{
    auto const colors = themeColors();
    auto const tint = isProblem() ? colors.problem : QApplication::palette().color(QPalette::Highlight);
    m_icon->setPixmap(icon(m_message.iconName, tint).pixmap(QSize(20, 20), devicePixelRatioF()));
    m_close->setIcon(icon(QStringLiteral("close")));
    m_tint = tint;
    update();
}

void MessageBar::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    auto wash = m_tint;
    wash.setAlpha(28);
    painter.fillRect(rect(), wash);
    painter.fillRect(0, 0, 3, height(), m_tint);
}

void MessageBar::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
    else if (event->type() == QEvent::PaletteChange && !m_message.iconName.isEmpty())
        updateColors();
}

void MessageBar::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        dismissShown();
    else
        QFrame::keyPressEvent(event);
}

}
