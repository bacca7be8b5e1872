#pragma once

#include "ui/display/screen_geometry.h"
#include "vmm/backends/display.h"

#include <QBasicTimer>
#include <QImage>
#include <QSet>
#include <QWidget>

namespace ui {

class Hint;
class KeyboardGrab;
class PointerLock;

/// The picture of a machine's screen, and a person's keys and pointer over it. It knows no machine: rows of pixels come
/// in, input goes out as signals. Its accessible description says how the keys are had back, and is shown once to who
/// came without the pointer.
class ScreenWidget final : public QWidget {
    Q_OBJECT
public:
    explicit ScreenWidget(QWidget* parent = nullptr);
    ~ScreenWidget() override;

    /// Takes the changed rows over from `pixels` (XRGB8888 without gaps); all of them when the size is new.
    void showRows(QSize size, std::uint32_t const* pixels, std::vector<vmm::RowRange> const& rows);
    /// No picture: the widget is empty and swallows no input.
    void showNothing();
    QImage const& image() const { return m_image; }

    int zoom() const { return m_zoom; } ///< 0 fits
    void setZoom(int zoom);
    ScreenGeometry geometryOfPicture() const;

    /// Off: keys and pointer stay with the window.
    void setInputEnabled(bool on);
    /// The guest follows absolute positions; else a click captures the pointer until Ctrl+Alt.
    void setAbsolutePointer(bool absolute);
    bool isCaptured() const { return m_lock != nullptr; }
    void releaseEverything();
    /// Darkened, for a machine that stands still.
    void setDimmed(bool dimmed);

    /// What is around the picture is black, and not the window's; and while the machine listens, the host's own
    /// shortcuts are the machine's, until Ctrl+Alt.
    void setFullScreen(bool on);
    /// A sentence over the picture, for some seconds.
    void showHint(QString const& text);

    QSize sizeHint() const override;

signals:
    void key(vmm::KeyInput input);
    void button(vmm::ButtonInput input);
    void absoluteMove(vmm::AbsoluteMove move);
    void relativeMove(vmm::RelativeMove move);
    void wheel(vmm::WheelMove move);
    void captureChanged(bool captured);
    /// Ctrl+Alt was tapped: the person wants to get out of the machine.
    void leaveRequested();
    void fullScreenRequested();
    void pictureSizeChanged(QSize size);

protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void keyReleaseEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override { mousePressEvent(event); }
    void mouseMoveEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void hideEvent(QHideEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void leaveEvent(QEvent* event) override;
    bool focusNextPrevChild(bool) override { return false; } // Tab belongs to the guest

private:
    void setCaptured(bool captured);
    void updateKeyboardGrab();
    void updateCursorShape();
    void updateHint();

    QImage m_image;
    int m_zoom = 0;
    bool m_inputEnabled = false, m_absolute = false, m_dimmed = false, m_fullScreen = false;
    std::unique_ptr<PointerLock> m_lock;      // while the pointer is captured
    std::unique_ptr<KeyboardGrab> m_keyboard; // while it has the host's shortcuts
    bool m_leaveArmed = false;                // Ctrl and Alt are down and no other key was pressed since
    bool m_captureTold = false;
    QSet<std::uint16_t> m_keysDown;
    QSet<int> m_buttonsDown;
    QPointF m_lastPointer;
    QPoint m_wheelRemainder;
    Hint* m_hint;
};

}
