#include "ui/main_window/empty_page.h"

#include "ui/theme/icons.h"

#include <QEvent>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace ui {

EmptyPage::EmptyPage(bool hasDemo, QWidget* parent)
    : QWidget(parent),
      m_picture(new QLabel),
      m_title(new QLabel),
      m_text(new QLabel),
      m_new(new QPushButton),
      m_demo(new QPushButton)
{
    auto font = m_title->font();
    font.setPointSizeF(font.pointSizeF() * 1.6);
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    m_text->setWordWrap(true);
    m_text->setAlignment(Qt::AlignHCenter);
    m_text->setProperty("quiet", true);
    // With an alignment, a layout asks no label for its height at a width: it is given both, by updateTexts().
    m_text->setFixedWidth(500);
    m_demo->setProperty("primary", true);
    m_demo->setVisible(hasDemo);
    m_picture->setPixmap(applicationIcon().pixmap(QSize(96, 96), devicePixelRatioF()));

    auto* buttons = new QHBoxLayout;
    buttons->setSpacing(12);
    buttons->addStretch(1);
    buttons->addWidget(m_new);
    buttons->addWidget(m_demo);
    buttons->addStretch(1);
    auto* layout = new QVBoxLayout(this);
    layout->setSpacing(10);
    layout->addStretch(2);
    layout->addWidget(m_picture, 0, Qt::AlignHCenter);
    layout->addWidget(m_title, 0, Qt::AlignHCenter);
    layout->addWidget(m_text, 0, Qt::AlignHCenter);
    layout->addSpacing(14);
    layout->addLayout(buttons);
    layout->addStretch(3);
    m_demo->setDefault(true);
    m_new->setDefault(true);
    setFocusProxy(hasDemo ? m_demo : m_new);
    connect(m_new, &QPushButton::clicked, this, &EmptyPage::newMachineRequested);
    connect(m_demo, &QPushButton::clicked, this, &EmptyPage::demoRequested);
    updateTexts();
}

void EmptyPage::updateTexts()
{
    m_title->setText(tr("No machines yet"));
    m_text->setText(tr("A machine is a computer within this one: run a system in it, suspend it in the middle of its "
                       "work, and bring it back just as it was."));
    m_text->setFixedHeight(m_text->heightForWidth(m_text->width()));
    m_new->setText(tr("New machine…"));
    m_new->setIcon(icon(QStringLiteral("add")));
    m_demo->setText(tr("Try the demo machine"));
    m_demo->setIcon(icon(QStringLiteral("demo"), palette().color(QPalette::HighlightedText)));
    setAccessibleName(m_title->text());
}

void EmptyPage::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
