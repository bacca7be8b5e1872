#include "ui/timeline/past_view.h"

#include "ui/display/screen_geometry.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/widgets/elided_label.h"

#include <QBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <utility>

namespace ui {

PastView::PastView(QWidget* parent)
    : QWidget(parent),
      m_caption(new QFrame),
      m_title(new ElidedLabel),
      m_details(new ElidedLabel(ElidedLabel::Tone::Quiet)),
      m_time(new QLabel),
      m_usb(new QLabel),
      m_go(new QPushButton),
      m_fork(new QPushButton),
      m_leave(new QPushButton)
{
    setAttribute(Qt::WA_OpaquePaintEvent);
    m_caption->setObjectName(QStringLiteral("pastCaption"));
    auto font = m_title->font();
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    m_time->setProperty("quiet", true);
    m_usb->setTextFormat(Qt::PlainText);
    m_usb->setWordWrap(true);
    m_usb->hide();
    m_go->setProperty("primary", true);
    m_leave->setProperty("link", true);

    auto* first = new QHBoxLayout;
    first->setSpacing(10);
    first->addWidget(m_title, 1);
    first->addWidget(m_time);
    auto* words = new QVBoxLayout;
    words->setSpacing(1);
    words->addLayout(first);
    words->addWidget(m_details);
    words->addWidget(m_usb);
    auto* caption = new QHBoxLayout(m_caption);
    caption->setContentsMargins(16, 8, 12, 8);
    caption->setSpacing(14);
    caption->addLayout(words, 1);
    caption->addWidget(m_leave);
    caption->addWidget(m_fork);
    caption->addWidget(m_go);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addStretch(1);
    layout->addWidget(m_caption);
    m_caption->setAutoFillBackground(true);

    connect(m_go, &QPushButton::clicked, this, &PastView::goRequested);
    connect(m_fork, &QPushButton::clicked, this, &PastView::forkRequested);
    connect(m_leave, &QPushButton::clicked, this, &PastView::leaveRequested);
    updateTexts();
}

void PastView::showPicture(Picture picture)
{
    if (m_picture == picture)
        return;
    m_picture = std::move(picture);
    m_image = hasPicture()
        ? QImage(reinterpret_cast<uchar const*>(m_picture->pixels.data()), static_cast<int>(m_picture->width),
            static_cast<int>(m_picture->height), static_cast<int>(m_picture->width * 4), QImage::Format_RGB32)
        : QImage();
    update();
}

void PastView::showWords(QString const& title, QString const& time, QString const& details, QString const& instead)
{
    if (std::exchange(m_instead, instead) != instead)
        update();
    m_title->setText(title);
    m_time->setText(time);
    m_details->setText(details);
    setAccessibleName(tr("The screen at “%1”").arg(title));
    describe();
}

void PastView::showUsb(QString const& text)
{
    m_usb->setText(text);
    m_usb->setVisible(!text.isEmpty());
    describe();
}

void PastView::describe()
{
    auto sentences = QStringList { m_time->text(), m_details->text(), m_usb->text() };
    sentences.removeAll(QString());
    setAccessibleDescription(sentences.join(QStringLiteral(". ")));
}

void PastView::setWhyNotGo(QString const& reason)
{
    m_go->setEnabled(reason.isEmpty());
    m_go->setToolTip(reason.isEmpty() ? tr("The present is kept first (Enter)") : reason);
    m_go->setAccessibleDescription(m_go->toolTip());
}

QRect PastView::pictureRect() const
{
    auto const room = QSize(width(), height() - m_caption->height());
    auto const origin = QPointF(mapTo(window(), QPoint(0, 0))) * devicePixelRatioF();
    return ScreenGeometry::fit(room, devicePixelRatioF(), origin, m_image.size(), 0).target;
}

void PastView::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    auto const window = palette().color(QPalette::Window);
    painter.fillRect(rect(), window.darker(window.lightness() < 128 ? 140 : 106));
    if (m_image.isNull()) {
        auto const room = rect().adjusted(0, 0, 0, -m_caption->height());
        painter.setPen(palette().color(QPalette::PlaceholderText));
        if (m_picture)
            painter.drawText(room, Qt::AlignCenter, m_instead);
        return;
    }
    auto const ratio = devicePixelRatioF();
    auto const target = pictureRect();
    painter.scale(1 / ratio, 1 / ratio);
    painter.setRenderHint(QPainter::SmoothPixmapTransform, target.width() % m_image.width() != 0);
    painter.drawImage(target, m_image);
    // The edges fade: what is seen is not what is.
    auto const depth = std::min(target.width(), target.height()) / 7;
    auto const fade = [&](QRect area, QPoint from, QPoint to) {
        QLinearGradient gradient(from, to);
        gradient.setColorAt(0, QColor(0, 0, 0, 150));
        gradient.setColorAt(1, QColor(0, 0, 0, 0));
        painter.fillRect(area, gradient);
    };
    auto const left = target.left(), top = target.top(), right = target.right() + 1, bottom = target.bottom() + 1;
    fade({ left, top, depth, target.height() }, { left, top }, { left + depth, top });
    fade({ right - depth, top, depth, target.height() }, { right, top }, { right - depth, top });
    fade({ left, top, target.width(), depth }, { left, top }, { left, top + depth });
    fade({ left, bottom - depth, target.width(), depth }, { left, bottom }, { left, bottom - depth });
    painter.setPen(QPen(palette().color(QPalette::Highlight), std::max(1.0, std::round(ratio))));
    painter.drawRect(target.adjusted(0, 0, -1, -1));
    emit painted();
}

void PastView::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        emit leaveRequested();
    else
        QWidget::keyPressEvent(event);
}

void PastView::updateTexts()
{
    m_go->setText(tr("Go back to here"));
    m_fork->setText(tr("Fork"));
    m_fork->setToolTip(tr("Make another machine that goes on from here, while this one stays as it is (F)"));
    m_fork->setAccessibleDescription(m_fork->toolTip());
    m_leave->setText(tr("Back to now"));
    m_leave->setToolTip(tr("Show what the machine shows now (Esc)"));
}

void PastView::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
