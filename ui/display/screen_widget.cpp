#include "ui/display/screen_widget.h"

#include "ui/display/key_codes.h"
#include "ui/display/keyboard_grab.h"
#include "ui/display/pointer_lock.h"
#include "ui/widgets/hint.h"

#include <QMouseEvent>
#include <QPainter>
#include <cstring>
#include <linux/input-event-codes.h>
#include <optional>

namespace ui {

namespace {

std::optional<vmm::PointerButton> buttonOf(Qt::MouseButton button)
{
    switch (button) {
    case Qt::LeftButton: return vmm::PointerButton::Left;
    case Qt::RightButton: return vmm::PointerButton::Right;
    case Qt::MiddleButton: return vmm::PointerButton::Middle;
    case Qt::BackButton: return vmm::PointerButton::Back;
    case Qt::ForwardButton: return vmm::PointerButton::Forward;
    default: return {};
    }
}

}

ScreenWidget::ScreenWidget(QWidget* parent) : QWidget(parent), m_hint(new Hint(this))
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAttribute(Qt::WA_OpaquePaintEvent);
}

ScreenWidget::~ScreenWidget() = default;

void ScreenWidget::showRows(QSize size, std::uint32_t const* pixels, std::vector<vmm::RowRange> const& rows)
{
    auto const isNew = m_image.size() != size;
    if (isNew) {
        m_image = QImage(size, QImage::Format_RGB32);
        m_image.fill(Qt::black);
    }
    if (m_image.isNull())
        return;
    auto const all = std::vector<vmm::RowRange> { { 0, static_cast<std::uint32_t>(size.height()) } };
    auto const geometry = geometryOfPicture();
    for (auto const& range : isNew ? all : rows) {
        auto const last = std::min<std::uint32_t>(range.last, static_cast<std::uint32_t>(size.height()));
        for (auto row = range.first; row < last; ++row)
            std::memcpy(m_image.scanLine(static_cast<int>(row)),
                pixels + std::size_t { row } * static_cast<std::size_t>(size.width()),
                static_cast<std::size_t>(size.width()) * 4);
        if (!isNew)
            update(geometry.rowsToWidget(static_cast<int>(range.first), static_cast<int>(last)));
    }
    if (isNew) {
        updateGeometry();
        update();
        emit pictureSizeChanged(size);
    }
}

void ScreenWidget::showNothing()
{
    releaseEverything();
    m_image = {};
    updateGeometry();
    update();
}

void ScreenWidget::setZoom(int zoom)
{
    m_zoom = zoom;
    updateGeometry();
    update();
}

ScreenGeometry ScreenWidget::geometryOfPicture() const
{
    auto const ratio = devicePixelRatioF();
    auto const origin = QPointF(mapTo(window(), QPoint(0, 0))) * ratio;
    return ScreenGeometry::fit(size(), ratio, origin, m_image.size(), m_zoom);
}

void ScreenWidget::setInputEnabled(bool on)
{
    if (m_inputEnabled == on)
        return;
    if (!on)
        releaseEverything();
    m_inputEnabled = on;
    updateCursorShape();
    updateKeyboardGrab();
}

void ScreenWidget::setAbsolutePointer(bool absolute)
{
    m_absolute = absolute;
    if (absolute)
        setCaptured(false);
    updateCursorShape();
}

void ScreenWidget::setDimmed(bool dimmed)
{
    if (m_dimmed == dimmed)
        return;
    m_dimmed = dimmed;
    update();
}

void ScreenWidget::setFullScreen(bool on)
{
    m_fullScreen = on;
    updateKeyboardGrab();
    update();
}

void ScreenWidget::updateKeyboardGrab()
{
    if (!m_fullScreen || !m_inputEnabled || !hasFocus() || !isVisible())
        m_keyboard.reset();
    else if (m_keyboard == nullptr)
        m_keyboard = KeyboardGrab::over(*this);
}

QSize ScreenWidget::sizeHint() const
{
    return m_image.isNull() ? QSize(640, 400)
                            : ScreenGeometry::sizeFor(m_image.size(), devicePixelRatioF(), std::max(1, m_zoom));
}

void ScreenWidget::releaseEverything()
{
    for (auto const code : std::exchange(m_keysDown, {}))
        emit key({ code, false });
    for (auto const pressed : std::exchange(m_buttonsDown, {}))
        emit button({ static_cast<vmm::PointerButton>(pressed), false });
    m_leaveArmed = false;
    m_keyboard.reset();
    setCaptured(false);
}

bool ScreenWidget::event(QEvent* event)
{
    // While the machine listens, keys are the guest's before they are shortcuts of the window.
    if (event->type() == QEvent::ShortcutOverride && m_inputEnabled) {
        event->accept();
        return true;
    }
    return QWidget::event(event);
}

void ScreenWidget::paintEvent(QPaintEvent* event)
{
    QPainter painter(this);
    auto const window = palette().color(QPalette::Window);
    auto const surround = m_fullScreen ? QColor(Qt::black) : window.darker(window.lightness() < 128 ? 140 : 106);
    if (m_image.isNull()) {
        painter.fillRect(event->rect(), surround);
        return;
    }
    auto const geometry = geometryOfPicture();
    auto const shift = geometry.alignment();
    painter.save();
    painter.scale(1 / geometry.ratio, 1 / geometry.ratio);
    painter.translate(shift);
    painter.setRenderHint(QPainter::SmoothPixmapTransform, !geometry.isExact());
    painter.drawImage(geometry.target, m_image);
    if (m_dimmed)
        painter.fillRect(geometry.target, QColor(0, 0, 0, 110));
    painter.restore();

    QRegion around(rect());
    auto const inner = QRectF(
        QPointF(geometry.target.topLeft() + shift) / geometry.ratio, QSizeF(geometry.target.size()) / geometry.ratio);
    auto const covered = QRect(
        QPoint(qCeil(inner.left()), qCeil(inner.top())), QPoint(qFloor(inner.right()) - 1, qFloor(inner.bottom()) - 1));
    around -= covered;
    painter.setClipRegion(around & event->region());
    if (geometry.ratio == 1) {
        painter.fillRect(rect(), surround);
    } else {
        // The picture's edge may lie inside a pixel of ours: fill in device pixels.
        painter.setClipping(false);
        painter.scale(1 / geometry.ratio, 1 / geometry.ratio);
        painter.translate(shift);
        auto const t = geometry.target;
        auto const far = 1 << 16;
        painter.fillRect(-far, -far, 2 * far, far + t.top(), surround);
        painter.fillRect(-far, t.bottom() + 1, 2 * far, far, surround);
        painter.fillRect(-far, t.top(), far + t.left(), t.height(), surround);
        painter.fillRect(t.right() + 1, t.top(), far, t.height(), surround);
    }
}

void ScreenWidget::keyPressEvent(QKeyEvent* event)
{
    auto const code = evdevCode(*event);
    if (!m_inputEnabled || code == 0) {
        QWidget::keyPressEvent(event);
        return;
    }
    if (event->isAutoRepeat() || m_keysDown.contains(code))
        return; // the guest repeats keys itself
    auto const control = m_keysDown.contains(KEY_LEFTCTRL) || m_keysDown.contains(KEY_RIGHTCTRL);
    auto const alt = m_keysDown.contains(KEY_LEFTALT);
    auto const isControl = code == KEY_LEFTCTRL || code == KEY_RIGHTCTRL, isAlt = code == KEY_LEFTALT;
    if (control && alt && (code == KEY_ENTER || code == KEY_KPENTER)) {
        releaseEverything();
        emit fullScreenRequested();
        return;
    }
    m_leaveArmed = (isControl && alt) || (isAlt && control);
    m_keysDown.insert(code);
    emit key({ code, true });
}

void ScreenWidget::keyReleaseEvent(QKeyEvent* event)
{
    auto const code = evdevCode(*event);
    if (event->isAutoRepeat() || !m_keysDown.remove(code)) {
        if (!m_inputEnabled)
            QWidget::keyReleaseEvent(event);
        return;
    }
    emit key({ code, false });
    if (m_leaveArmed) {
        releaseEverything();
        emit leaveRequested();
    }
}

void ScreenWidget::mousePressEvent(QMouseEvent* event)
{
    setFocus(Qt::MouseFocusReason);
    updateKeyboardGrab();
    if (!m_inputEnabled)
        return;
    if (!m_absolute && !isCaptured()) {
        setCaptured(true);
        return; // the click that captures is not the guest's
    }
    if (m_absolute)
        emit absoluteMove(geometryOfPicture().toGuest(event->position()));
    if (auto const pressed = buttonOf(event->button())) {
        m_buttonsDown.insert(static_cast<int>(*pressed));
        emit button({ *pressed, true });
    }
}

void ScreenWidget::mouseReleaseEvent(QMouseEvent* event)
{
    auto const released = buttonOf(event->button());
    if (released && m_buttonsDown.remove(static_cast<int>(*released)))
        emit button({ *released, false });
}

void ScreenWidget::mouseMoveEvent(QMouseEvent* event)
{
    if (!m_inputEnabled)
        return;
    if (m_absolute) {
        emit absoluteMove(geometryOfPicture().toGuest(event->position()));
        return;
    }
    if (m_lock)
        m_lock->motion(event->globalPosition().toPoint());
}

void ScreenWidget::wheelEvent(QWheelEvent* event)
{
    if (!m_inputEnabled || (!m_absolute && !isCaptured())) {
        QWidget::wheelEvent(event);
        return;
    }
    m_wheelRemainder += event->angleDelta();
    vmm::WheelMove move { m_wheelRemainder.y() / 120, -(m_wheelRemainder.x() / 120) };
    m_wheelRemainder -= QPoint(-move.horizontal * 120, move.vertical * 120);
    if (move.vertical != 0 || move.horizontal != 0)
        emit wheel(move);
}

void ScreenWidget::focusInEvent(QFocusEvent* event)
{
    QWidget::focusInEvent(event);
    updateKeyboardGrab();
    if (m_inputEnabled)
        m_hint->sayWayOut(event->reason());
}

/// Qt has let go of the keyboard by then, and the focus may stay.
void ScreenWidget::hideEvent(QHideEvent* event)
{
    QWidget::hideEvent(event);
    updateKeyboardGrab();
}

void ScreenWidget::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    updateKeyboardGrab();
}

void ScreenWidget::focusOutEvent(QFocusEvent* event)
{
    releaseEverything(); // or the guest would believe them held for ever
    QWidget::focusOutEvent(event);
}

void ScreenWidget::leaveEvent(QEvent* event)
{
    m_wheelRemainder = {};
    QWidget::leaveEvent(event);
}

void ScreenWidget::setCaptured(bool captured)
{
    if (isCaptured() == captured)
        return;
    m_lock = captured ? PointerLock::over(*this) : nullptr;
    if (m_lock)
        connect(m_lock.get(), &PointerLock::moved, this, [this](QPoint delta) {
            emit relativeMove({ delta.x(), delta.y() });
        });
    updateCursorShape();
    updateHint();
    emit captureChanged(captured);
}

void ScreenWidget::updateCursorShape()
{
    // The guest draws a pointer of its own where it has one.
    if (isCaptured() || (m_inputEnabled && m_absolute))
        setCursor(Qt::BlankCursor);
    else
        unsetCursor();
}

void ScreenWidget::updateHint()
{
    if (!isCaptured()) {
        m_hint->hide();
        return;
    }
    if (!std::exchange(m_captureTold, true))
        showHint(m_lock->isHeld()
                ? tr("Press Ctrl+Alt to get the pointer back")
                : tr("This desktop does not let programs hold the pointer: it stops at the edge. Ctrl+Alt lets it "
                     "go."));
}

void ScreenWidget::showHint(QString const& text)
{
    m_hint->say(text);
}

}
