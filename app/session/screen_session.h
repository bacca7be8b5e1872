#pragma once

#include "app/runner/links.h"
#include "app/runner/picture.h"

#include <QObject>
#include <QPointer>
#include <QSize>
#include <QString>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace app {

/// One screen for its widgets. A thread of its own follows the guest's picture at the display's pace for as long as
/// somebody looks, slows down while nothing changes, and sleeps when nobody does. GUI thread only, besides that thread.
class ScreenSession final : public QObject {
    Q_OBJECT
public:
    ScreenSession(QString id, std::shared_ptr<ScreenLink> link, QObject* parent = nullptr);
    ~ScreenSession() override;

    QString id() const { return m_id; }

    /// Somebody looks, from construction to destruction: hold one while the widget is visible.
    class Viewer {
    public:
        explicit Viewer(ScreenSession& screen);
        ~Viewer();
        Viewer(Viewer const&) = delete;
        Viewer& operator=(Viewer const&) = delete;

    private:
        QPointer<ScreenSession> m_screen;
    };

    /// At most this often; 60 Hz unless told otherwise. 1000 / QScreen::refreshRate() is what a widget gives.
    void setInterval(std::chrono::microseconds interval);
    /// Something is likely to change now (a key was pressed): look at once, not at the pace of a still picture.
    void hurry();

    /// The picture, held still for as long as the object lives (keep that short: copying rows or painting). `pixels` is
    /// XRGB8888 without gaps: QImage(pixels, width, height, width * 4, QImage::Format_RGB32). Null size: no picture
    /// yet.
    class Picture {
    public:
        explicit Picture(ScreenSession& screen);
        std::uint32_t width() const { return m_screen.m_front.width; }
        std::uint32_t height() const { return m_screen.m_front.height; }
        std::uint32_t const* pixels() const { return m_screen.m_front.pixels.data(); }
        /// Rows that changed since takeChanges() was last called, joined where they touch.
        std::vector<vmm::RowRange> takeChanges();

    private:
        ScreenSession& m_screen;
        std::unique_lock<std::mutex> m_lock;
    };

    QSize size() const;
    /// A copy of the whole picture, as it is now.
    app::Picture screenshot() const;

    /// While on, thumbnailChanged() comes when the picture has changed, at most twice a second, whoever looks or not.
    void setThumbnails(bool on, QSize within = { 320, 200 });
    /// The last one; also after the machine is gone.
    app::Picture thumbnail() const;

signals:
    /// Rows changed; at most one is on its way at a time. Take a Picture and its changes.
    void frameChanged();
    void sizeChanged(QSize size);
    void thumbnailChanged();

private:
    friend class Viewer;
    void work();
    void follow();
    void tell(bool isResized);

    QString m_id;
    std::shared_ptr<ScreenLink> m_link;

    mutable std::mutex m_mutex; // guards all below
    std::condition_variable m_wake;
    vmm::Frame m_front; // what the GUI sees; the thread refreshes a frame of its own first
    std::vector<vmm::RowRange> m_changes;
    bool m_signalUnderway = false;
    int m_viewers = 0;
    bool m_thumbnails = false;
    QSize m_thumbnailWithin;
    app::Picture m_thumbnail;
    std::chrono::microseconds m_interval { 16667 };
    bool m_hurry = false;
    bool m_stop = false;
    std::thread m_thread;
};

}
