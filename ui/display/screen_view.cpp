#include "ui/display/screen_view.h"

#include "ui/library/library_model.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/widgets/busy.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/hint.h"
#include "ui/widgets/words.h"

#include <QApplication>
#include <QLabel>
#include <QPainter>
#include <QPainterPath>
#include <QPushButton>
#include <QScreen>
#include <QVBoxLayout>
#include <algorithm>

namespace ui {

namespace {

constexpr QSize cardPicture(320, 200), leastCardPicture(96, 60);

QPixmap roundedPicture(QImage const& image, QSize room, qreal ratio)
{
    QPixmap result(room * ratio);
    result.setDevicePixelRatio(ratio);
    result.fill(Qt::transparent);
    QPainter painter(&result);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setRenderHint(QPainter::SmoothPixmapTransform);
    QPainterPath outline;
    outline.addRoundedRect(QRectF(0.5, 0.5, room.width() - 1, room.height() - 1), 12, 12);
    painter.fillPath(outline, image.isNull() ? themeColors().raised : QColor(0x0c0e11));
    if (image.isNull()) {
        auto const side = room.height() * 9 / 25;
        icon(QStringLiteral("machine"), themeColors().faint)
            .paint(&painter, QRect((room.width() - side) / 2, (room.height() - side) / 2, side, side));
    } else {
        painter.setClipPath(outline);
        painter.setOpacity(0.55);
        auto const size = image.size().scaled(room, Qt::KeepAspectRatio);
        painter.drawImage(
            QRect(QPoint((room.width() - size.width()) / 2, (room.height() - size.height()) / 2), size), image);
        painter.setOpacity(1);
        painter.setClipping(false);
    }
    painter.setPen(themeColors().border);
    painter.drawPath(outline);
    return result;
}

}

ScreenView::ScreenView(app::VmSession& session, QWidget* parent)
    : QStackedWidget(parent),
      m_session(session),
      m_card(new QWidget(this)),
      m_cardHint(new Hint(m_card)),
      m_picture(new QLabel(m_card)),
      m_name(new ElidedLabel),
      m_state(new QLabel(m_card)),
      m_start(new QPushButton(m_card)),
      m_suspendThere(new QPushButton(m_card)),
      m_settings(new QPushButton(m_card)),
      m_scroll(new QScrollArea(this)),
      m_screen(new ScreenWidget(m_scroll->viewport()))
{
    auto font = m_name->font();
    font.setPointSizeF(font.pointSizeF() * 1.5);
    font.setWeight(QFont::DemiBold);
    m_name->setFont(font);
    m_name->setAlignment(Qt::AlignCenter);
    m_state->setProperty("quiet", true);
    m_start->setProperty("primary", true);
    m_start->setDefault(true);
    m_settings->setProperty("link", true);

    auto* layout = new QVBoxLayout(m_card);
    layout->addStretch(2);
    layout->addWidget(m_picture, 0, Qt::AlignHCenter);
    layout->addSpacing(14);
    layout->addWidget(m_name);
    layout->addWidget(m_state, 0, Qt::AlignHCenter);
    layout->addSpacing(12);
    layout->addWidget(m_start, 0, Qt::AlignHCenter);
    layout->addWidget(m_suspendThere, 0, Qt::AlignHCenter);
    layout->addWidget(m_settings, 0, Qt::AlignHCenter);
    layout->addStretch(3);

    m_scroll->setFrameShape(QFrame::NoFrame);
    m_scroll->setWidget(m_screen);
    m_scroll->setWidgetResizable(true);
    m_scroll->setFocusProxy(m_screen);
    m_scroll->setAlignment(Qt::AlignCenter);
    addWidget(m_card);
    addWidget(m_scroll);
    m_scroll->viewport()->installEventFilter(this);

    connect(m_start, &QPushButton::clicked, this, &ScreenView::startRequested);
    connect(m_suspendThere, &QPushButton::clicked, this, &ScreenView::suspendThereRequested);
    connect(m_settings, &QPushButton::clicked, this, &ScreenView::settingsRequested);
    connect(m_screen, &ScreenWidget::key, this, [this](vmm::KeyInput input) { m_session.sendKey(input); });
    connect(m_screen, &ScreenWidget::button, this, [this](vmm::ButtonInput input) { m_session.sendButton(input); });
    connect(m_screen, &ScreenWidget::absoluteMove, this, [this](vmm::AbsoluteMove move) { m_session.sendMove(move); });
    connect(m_screen, &ScreenWidget::relativeMove, this, [this](vmm::RelativeMove move) { m_session.sendMove(move); });
    connect(m_screen, &ScreenWidget::wheel, this, [this](vmm::WheelMove move) { m_session.sendWheel(move); });
    connect(m_screen, &ScreenWidget::leaveRequested, this, &ScreenView::leaveRequested);
    connect(m_screen, &ScreenWidget::fullScreenRequested, this, &ScreenView::fullScreenRequested);
    connect(m_screen, &ScreenWidget::pictureSizeChanged, this, [this] { setZoom(zoom()); });
    connect(qApp, &QApplication::focusChanged, this, [this](QWidget const*, QWidget const* now) {
        if (now == m_screen)
            m_session.preferGamepads();
    });
    connect(&m_typist, &TextTypist::key, this, [this](vmm::KeyInput input) { m_session.sendKey(input); });
    connect(&m_typist, &TextTypist::progressed, this, &ScreenView::typingChanged);
    connect(&m_typist, &TextTypist::finished, this, &ScreenView::typingChanged);
    connect(&session, &app::VmSession::stateChanged, this, &ScreenView::update);
    connect(&session, &app::VmSession::guestRebooted, this, &ScreenView::cutTyping);
    connect(&session, &app::VmSession::machineReset, this, &ScreenView::cutTyping);
    connect(&session, &app::VmSession::jobProgressed, this, &ScreenView::update);
    connect(&session, &app::VmSession::pointerModeChanged, m_screen, &ScreenWidget::setAbsolutePointer);
    updateTexts();
    update();
}

ScreenView::~ScreenView() = default;

void ScreenView::showInstead(QWidget* view)
{
    if (view != nullptr && indexOf(view) < 0)
        addWidget(view);
    if (std::exchange(m_instead, view) != view)
        update();
}

QString ScreenView::display() const
{
    auto const displays = m_session.config().displays;
    auto const isThere
        = std::ranges::any_of(displays, [this](auto const& one) { return one.id == m_display.toStdString(); });
    return isThere || displays.empty() ? m_display : QString::fromStdString(displays.front().id);
}

void ScreenView::setDisplay(QString const& id)
{
    m_display = id;
    update();
}

/// Listens to the screen of display(), which another one takes the place of when it is chosen or the settings change.
void ScreenView::followDisplay()
{
    auto* source = m_session.screen(display());
    if (source == m_source)
        return;
    m_viewer.reset();
    if (m_source != nullptr) {
        disconnect(m_source, nullptr, this, nullptr);
        m_screen->showNothing();
    }
    m_source = source;
    if (m_source == nullptr)
        return;
    connect(m_source, &app::ScreenSession::frameChanged, this, &ScreenView::takeFrame);
    if (isVisible())
        showWhole();
}

/// Not only what has changed: another view may have taken that.
void ScreenView::showWhole()
{
    app::ScreenSession::Picture picture(*m_source);
    picture.takeChanges();
    if (picture.width() != 0)
        m_screen->showRows(QSize(static_cast<int>(picture.width()), static_cast<int>(picture.height())),
            picture.pixels(), { { 0, picture.height() } });
}

void ScreenView::setZoom(int zoom)
{
    m_screen->setZoom(zoom);
    m_scroll->setWidgetResizable(zoom == 0);
    if (zoom > 0) {
        // At least the view's own size, so that a small picture is centred and no scroll bar appears.
        auto const wanted = m_screen->sizeHint().expandedTo(m_scroll->viewport()->size());
        m_screen->resize(wanted);
    }
}

void ScreenView::focusPicture()
{
    m_wantsFocus = showsCard();
    auto* card = m_otherOwner ? m_suspendThere : m_start;
    m_wantsFocus ? card->setFocus(Qt::OtherFocusReason) : m_screen->setFocus(Qt::OtherFocusReason);
}

bool ScreenView::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_scroll->viewport() && event->type() == QEvent::Resize && m_screen->zoom() > 0)
        setZoom(m_screen->zoom());
    return QStackedWidget::eventFilter(watched, event);
}

void ScreenView::sendChord(std::vector<std::uint16_t> const& codes)
{
    m_session.sendChord(codes);
}

TextTypist::LeftOut ScreenView::typeText(QString const& text, KeyboardLayout const& layout)
{
    return m_typist.type(text, layout);
}

void ScreenView::cutTyping()
{
    if (!m_typist.isTyping())
        return;
    m_typist.stop();
    showHint(tr("The rest of the text was not typed."));
}

void ScreenView::showHint(QString const& text)
{
    showsCard() ? m_cardHint->say(text) : m_screen->showHint(text);
}

QImage ScreenView::screenshot() const
{
    return m_source != nullptr ? LibraryModel::imageOf(m_source->screenshot()) : QImage();
}

void ScreenView::setCardPicture(QImage const& picture)
{
    m_cardPicture = picture;
    updateLook();
}

void ScreenView::setName(QString const& name)
{
    m_name->setText(name);
    m_screen->setAccessibleName(tr("Screen of %1").arg(name));
}

void ScreenView::setOtherOwner(std::optional<qint64> pid)
{
    m_otherOwner = pid;
    updateTexts();
}

void ScreenView::setSuspendThereEnabled(bool enabled)
{
    setBusy(m_suspendThere, !enabled);
}

void ScreenView::takeFrame()
{
    if (m_source == nullptr || !m_viewer)
        return;
    app::ScreenSession::Picture picture(*m_source);
    auto const rows = picture.takeChanges();
    if (picture.width() == 0 || picture.height() == 0)
        return;
    m_screen->showRows(
        QSize(static_cast<int>(picture.width()), static_cast<int>(picture.height())), picture.pixels(), rows);
}

void ScreenView::update()
{
    followDisplay();
    auto const state = m_session.state();
    auto const hasPicture = app::isInMemory(state) && state != app::SessionState::Starting && hasScreen();
    auto const hadFocus = isAncestorOf(QApplication::focusWidget());
    m_instead != nullptr ? setCurrentWidget(m_instead) : setCurrentIndex(hasPicture ? 1 : 0);
    m_screen->setInputEnabled(state == app::SessionState::Running);
    m_screen->setAbsolutePointer(m_session.isPointerAbsolute());
    m_screen->setDimmed(hasPicture && state != app::SessionState::Running);
    m_typist.setPaused(state == app::SessionState::Paused);
    if (state != app::SessionState::Running && state != app::SessionState::Paused)
        cutTyping();
    if (!app::isInMemory(state))
        m_screen->showNothing();
    if (hasPicture && m_instead == nullptr && (std::exchange(m_wantsFocus, false) || hadFocus))
        m_screen->setFocus();
    updateTexts();
    fitCardPicture();
    if (hasPicture && isVisible()) {
        if (!m_viewer) {
            m_viewer.emplace(*m_source);
            if (QWidget::screen() != nullptr)
                m_source->setInterval(std::chrono::microseconds(
                    static_cast<int>(1e6 / std::max(30.0, QWidget::screen()->refreshRate()))));
        }
        takeFrame();
    } else {
        m_viewer.reset();
    }
}

void ScreenView::showEvent(QShowEvent* event)
{
    QStackedWidget::showEvent(event);
    if (m_source != nullptr && !showsCard())
        showWhole();
    update();
    updateLook();
}

void ScreenView::hideEvent(QHideEvent* event)
{
    QStackedWidget::hideEvent(event);
    m_screen->releaseEverything();
    m_viewer.reset();
}

QSize ScreenView::minimumSizeHint() const
{
    return { 200, cardHeightOfWords() };
}

int ScreenView::cardHeightOfWords() const
{
    auto const* layout = m_card->layout();
    auto const picture = m_picture->isHidden() ? 0 : m_picture->sizeHint().height() + layout->spacing();
    return layout->totalMinimumSize().height() - picture;
}

/// It gives way to the words where there is little room.
void ScreenView::fitCardPicture()
{
    if (!isVisible())
        return; // what is not seen is not drawn
    auto const height = this->height() - cardHeightOfWords() - m_card->layout()->spacing();
    auto const room = QSize(width(), height).boundedTo(cardPicture);
    auto const isRoom = room.width() >= leastCardPicture.width() && room.height() >= leastCardPicture.height();
    auto const size = isRoom ? cardPicture.scaled(room, Qt::KeepAspectRatio) : QSize();
    if (std::exchange(m_cardPictureSize, size) == size)
        return;
    updateLook();
    m_picture->setVisible(isRoom);
}

void ScreenView::resizeEvent(QResizeEvent* event)
{
    QStackedWidget::resizeEvent(event);
    fitCardPicture();
}

void ScreenView::updateLook()
{
    if (!m_cardPictureSize.isEmpty())
        m_picture->setPixmap(roundedPicture(m_cardPicture, m_cardPictureSize, devicePixelRatioF()));
    m_start->setIcon(icon(QStringLiteral("start"), palette().color(QPalette::HighlightedText)));
    m_settings->setIcon(icon(QStringLiteral("settings"), palette().color(QPalette::Link)));
}

void ScreenView::updateTexts()
{
    auto const state = m_session.state();
    m_picture->setAccessibleName(tr("The machine's last picture"));
    m_state->setText(m_otherOwner ? otherOwnerWord(*m_otherOwner)
            : m_session.job()     ? jobWord(m_session.job()->name)
            : app::isInMemory(state) && !hasScreen() && state == app::SessionState::Running
            ? tr("Running without a screen: use its serial console.")
            : stateWord(state));
    m_start->setText(state == app::SessionState::Suspended ? tr("Restore") : tr("Start"));
    m_start->setVisible(m_session.can(app::Action::Start) && !m_otherOwner);
    m_suspendThere->setText(tr("Suspend it there"));
    m_suspendThere->setVisible(m_otherOwner.has_value());
    m_settings->setText(tr("Settings"));
    m_screen->setAccessibleDescription(tr("Keys go to the machine. Ctrl+Alt leads back to the tools."));
}

void ScreenView::changeEvent(QEvent* event)
{
    QStackedWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
    else if (event->type() == QEvent::PaletteChange && isVisible())
        updateLook();
}

}
