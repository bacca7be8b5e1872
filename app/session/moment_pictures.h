#pragma once

#include "app/runner/picture.h"
#include "app/session/gate.h"
#include "vmm/base/event_loop.h"
#include "vmm/timeline/timeline.h"

#include <QObject>
#include <QString>
#include <list>
#include <map>
#include <set>

namespace app {

/// The pictures of a machine's moments: read and unpacked on a thread of their own, what was asked for last first, and
/// kept within a bound of bytes. GUI thread only; it never waits.
class MomentPictures final : public QObject {
    Q_OBJECT
public:
    using Source = std::shared_ptr<vmm::timeline::Timeline const>;
    using Shared = std::shared_ptr<Picture const>;
    enum class Size : std::uint8_t { Small, Whole };
    /// What a small one is at most.
    static constexpr std::uint32_t smallWidth = smallPictureWidth, smallHeight = smallPictureHeight;
    /// Of all pixels that are kept.
    static constexpr std::size_t mostSmall = 32u << 20, mostWhole = 64u << 20;

    explicit MomentPictures(QObject* parent = nullptr);
    ~MomentPictures() override;

    void setSource(Source source);
    /// Null: it is not here yet, will be read, and arrived() tells. A picture that is null: the moment has none. On its
    /// way a whole one brings the small one too, which is here before.
    Shared find(QString const& moment, Size size);
    /// What is here now.
    Shared peek(QString const& moment, Size size) const;
    std::size_t keptBytes() const { return m_small.bytes + m_whole.bytes; }

signals:
    void arrived(QString moment);

private:
    /// The least recently used goes first.
    struct Cache {
        std::size_t most;
        std::size_t bytes = 0;
        std::list<std::pair<QString, Shared>> order = {};
        std::map<QString, decltype(order)::iterator> places = {};
        Shared find(QString const& moment);
        void put(QString const& moment, Shared picture);
    };
    struct Wish {
        QString moment;
        Size size;
        bool operator==(Wish const&) const = default;
    };
    /// Shared with the thread.
    struct Wishes {
        std::mutex mutex;
        std::list<Wish> list; // the next first
        Source source;
    };

    void work();
    void fulfil(Wish const& wish, Source const& source) const;
    void deliver(QString const& moment, Size size, Picture picture) const;
    void take(QString const& moment, Size size, Shared const& picture);

    std::set<std::pair<QString, Size>> m_wanted; // in the list, being unpacked, or on their way here
    Cache m_small { mostSmall }, m_whole { mostWhole };
    std::shared_ptr<Wishes> m_wishes = std::make_shared<Wishes>();
    std::shared_ptr<Gate<MomentPictures>> m_gate = std::make_shared<Gate<MomentPictures>>(this);
    std::unique_ptr<vmm::LoopThread> m_thread; // last: ends before what it uses
};

}
