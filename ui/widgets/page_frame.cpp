#include "ui/widgets/page_frame.h"

#include "ui/theme/icons.h"
#include "ui/widgets/elided_label.h"

#include <QCoreApplication>
#include <QEvent>
#include <QFrame>
#include <QKeyEvent>
#include <QLabel>
#include <QScrollBar>
#include <QShowEvent>
#include <QToolButton>

namespace ui {

PageFrame::PageFrame(QWidget* parent)
    : QWidget(parent),
      m_back(new QToolButton),
      m_title(new ElidedLabel),
      m_scroll(new QScrollArea),
      m_above(new QVBoxLayout),
      m_content(new QVBoxLayout),
      m_footer(new QHBoxLayout)
{
    auto font = m_title->font();
    font.setPointSizeF(font.pointSizeF() * 1.35);
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    m_back->setIcon(icon(QStringLiteral("back")));
    m_back->setFocusPolicy(Qt::StrongFocus);

    auto* header = new QHBoxLayout;
    header->setContentsMargins(12, 8, 12, 8);
    header->setSpacing(8);
    header->addWidget(m_back);
    header->addWidget(m_title, 1);

    auto* column = new QWidget;
    column->setMaximumWidth(720);
    column->setLayout(m_content);
    m_content->setContentsMargins(24, 8, 24, 24);
    m_content->setSpacing(10);
    auto* middle = new QWidget;
    auto* centring = new QHBoxLayout(middle);
    centring->setContentsMargins(0, 0, 0, 0);
    centring->addStretch(1);
    centring->addWidget(column, 100);
    centring->addStretch(1);
    m_scroll->setFrameShape(QFrame::NoFrame);
    m_scroll->setWidgetResizable(true);
    m_scroll->setWidget(middle);
    m_scroll->setFocusPolicy(Qt::NoFocus);
    m_footer->setContentsMargins(24, 10, 24, 12);
    m_footer->setSpacing(10);

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(header);
    layout->addLayout(m_above);
    layout->addWidget(m_scroll, 1);
    layout->addLayout(m_footer);
    connect(m_back, &QToolButton::clicked, this, &PageFrame::backRequested);
    m_back->setToolTip(tr("Back (Esc)"));
    m_back->setAccessibleName(tr("Back"));
}

void PageFrame::setTitle(QString const& title)
{
    m_title->setText(title);
    setAccessibleName(title);
}

QVBoxLayout* PageFrame::addCard(QLabel*& heading)
{
    heading = new QLabel;
    auto font = heading->font();
    font.setWeight(QFont::DemiBold);
    heading->setFont(font);
    auto* card = new QFrame;
    card->setObjectName(QStringLiteral("card"));
    auto* layout = new QVBoxLayout(card);
    layout->setContentsMargins(16, 14, 16, 14);
    layout->setSpacing(10);
    m_content->addSpacing(4);
    m_content->addWidget(heading);
    m_content->addWidget(card);
    return layout;
}

void PageFrame::ensureVisible(QWidget* part)
{
    QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest); // a page that is shown just now
    m_scroll->ensureWidgetVisible(part);
}

void PageFrame::toTop()
{
    m_scroll->verticalScrollBar()->setValue(0);
}

/// Wherever it was left: the focus is at its beginning.
void PageFrame::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (!event->spontaneous())
        toTop();
}

void PageFrame::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        m_back->setToolTip(tr("Back (Esc)"));
        m_back->setAccessibleName(tr("Back"));
        updateTexts();
    }
}

void PageFrame::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        emit backRequested();
    else
        QWidget::keyPressEvent(event);
}

}
