#include "ui/widgets/work_line.h"

#include "ui/widgets/elided_label.h"

#include <QAccessible>
#include <QEvent>
#include <QHBoxLayout>
#include <QProgressBar>
#include <QPushButton>

namespace ui {

WorkLine::WorkLine(QWidget* parent)
    : QFrame(parent), m_text(new ElidedLabel), m_bar(new QProgressBar), m_cancel(new QPushButton(tr("Cancel")))
{
    m_bar->setTextVisible(false);
    m_bar->setRange(0, 1000);
    auto* line = new QHBoxLayout(this);
    line->setContentsMargins(14, 8, 10, 8);
    line->setSpacing(12);
    line->addWidget(m_text);
    line->addWidget(m_bar, 1);
    line->addWidget(m_cancel);
    connect(m_cancel, &QPushButton::clicked, this, &WorkLine::cancelRequested);
    hide();
}

void WorkLine::tell(QString const& text, double fraction)
{
    auto const isFurther = !isHidden() && text == m_text->text();
    m_text->setText(text);
    m_bar->setAccessibleName(text);
    show(); // or nobody is told of the value
    m_bar->setValue(qRound(fraction * 1000));
    if (isFurther)
        return;
    setAccessibleName(text);
    QAccessibleEvent alert(this, QAccessible::Alert);
    QAccessible::updateAccessibility(&alert);
}

void WorkLine::setCancellable(bool cancellable)
{
    m_cancel->setEnabled(cancellable);
}

QString WorkLine::text() const
{
    return m_text->text();
}

void WorkLine::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        m_cancel->setText(tr("Cancel"));
}

}
