#include "app/session/moment_pictures.h"

#include <algorithm>

namespace app {

namespace {

/// Scrubbing over a thousand moments asks for a thousand pictures; those long passed are not wanted any more.
constexpr std::size_t mostWishes = 64;
/// The file may say anything of its size.
constexpr std::uint32_t longestSide = 4096;

std::size_t bytesOf(MomentPictures::Shared const& picture)
{
    return picture->pixels.size() * sizeof(std::uint32_t);
}

vmm::Bytes read(MomentPictures::Source const& source, QString const& moment)
{
    return source ? source->picture(moment.toStdString()).value_or(vmm::Bytes()) : vmm::Bytes();
}

}

MomentPictures::Shared MomentPictures::Cache::find(QString const& moment)
{
    auto const found = places.find(moment);
    if (found == places.end())
        return nullptr;
    order.splice(order.begin(), order, found->second);
    return found->second->second;
}

void MomentPictures::Cache::put(QString const& moment, Shared picture)
{
    if (auto const old = places.find(moment); old != places.end()) {
        bytes -= bytesOf(old->second->second);
        order.erase(old->second);
        places.erase(old);
    }
    bytes += bytesOf(picture);
    order.emplace_front(moment, std::move(picture));
    places[moment] = order.begin();
    while (bytes > most && order.size() > 1) {
        bytes -= bytesOf(order.back().second);
        places.erase(order.back().first);
        order.pop_back();
    }
}

MomentPictures::MomentPictures(QObject* parent) : QObject(parent) { }

MomentPictures::~MomentPictures()
{
    {
        std::lock_guard const lock(m_wishes->mutex);
        m_wishes->list.clear();
    }
    m_gate->close();
}

void MomentPictures::setSource(Source source)
{
    std::lock_guard const lock(m_wishes->mutex);
    m_wishes->source = std::move(source);
}

MomentPictures::Shared MomentPictures::peek(QString const& moment, Size size) const
{
    auto const& cache = size == Size::Small ? m_small : m_whole;
    auto const found = cache.places.find(moment);
    return found == cache.places.end() ? nullptr : found->second->second;
}

MomentPictures::Shared MomentPictures::find(QString const& moment, Size size)
{
    if (auto known = (size == Size::Small ? m_small : m_whole).find(moment))
        return known;
    if (!m_thread) {
        auto started = vmm::LoopThread::start("pictures");
        if (!started)
            return nullptr;
        m_thread = std::move(*started);
    }
    {
        std::lock_guard const lock(m_wishes->mutex);
        auto& list = m_wishes->list;
        auto const isWaiting = list.remove({ moment, size }) > 0;
        if (!m_wanted.insert({ moment, size }).second && !isWaiting)
            return nullptr;
        // What a person looks at goes before what is around it.
        auto const place = size == Size::Whole
            ? list.begin()
            : std::find_if(list.begin(), list.end(), [](Wish const& wish) { return wish.size == Size::Small; });
        list.insert(place, { moment, size });
        if (list.size() > mostWishes) {
            m_wanted.erase({ list.back().moment, list.back().size });
            list.pop_back();
        }
    }
    m_thread->loop().post([this] { work(); });
    return nullptr;
}

/// On the thread; once for each wish that was made, some of which are forgotten by then.
void MomentPictures::work()
{
    Wish wish {};
    Source source;
    {
        std::lock_guard const lock(m_wishes->mutex);
        if (m_wishes->list.empty())
            return;
        wish = m_wishes->list.front();
        m_wishes->list.pop_front();
        source = m_wishes->source;
    }
    fulfil(wish, source);
}

/// On the thread. What can be shown is told at once.
void MomentPictures::fulfil(Wish const& wish, Source const& source) const
{
    auto const bytes = read(source, wish.moment);
    auto small = smallPictureIn(bytes);
    auto const hasSmall = !small.isNull();
    if (hasSmall)
        deliver(wish.moment, Size::Small, std::move(small));
    if (hasSmall && wish.size == Size::Small)
        return;
    auto whole = decodePng(bytes, longestSide).value_or(Picture {});
    if (!hasSmall)
        deliver(wish.moment, Size::Small, scaledDown(whole, smallWidth, smallHeight));
    if (wish.size == Size::Whole)
        deliver(wish.moment, Size::Whole, std::move(whole));
}

void MomentPictures::deliver(QString const& moment, Size size, Picture picture) const
{
    Gate<MomentPictures>::post(
        m_gate, [moment, size, shared = std::make_shared<Picture const>(std::move(picture))](MomentPictures& pictures) {
            pictures.take(moment, size, shared);
        });
}

void MomentPictures::take(QString const& moment, Size size, Shared const& picture)
{
    m_wanted.erase({ moment, size });
    (size == Size::Small ? m_small : m_whole).put(moment, picture);
    emit arrived(moment);
}

}

#include "moc_moment_pictures.cpp"
