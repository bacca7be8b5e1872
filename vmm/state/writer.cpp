#include "vmm/state/writer.h"

#include <nlohmann/json.hpp>

namespace vmm::state {

struct Writer::Tree {
    Json root = Json::object();
    std::vector<Json*> path { &root }; // each inside the one before it; the last is where values go
};

Writer::Writer() : m_tree(std::make_unique<Tree>()) { }

Writer::~Writer() = default;

Section makeSection(std::string_view kind, unsigned version, Writer& writer)
{
    return Section(std::string(kind), version, std::move(writer.m_tree->root));
}

void Writer::enter(std::string_view name)
{
    m_tree->path.push_back(&(*m_tree->path.back())[std::string(name)]);
}

void Writer::enterElement()
{
    auto& list = *m_tree->path.back();
    list.push_back(nullptr);
    m_tree->path.push_back(&list.back());
}

void Writer::leave()
{
    m_tree->path.pop_back();
}

void Writer::beginObject()
{
    *m_tree->path.back() = Json::object();
}

void Writer::beginList()
{
    *m_tree->path.back() = Json::array();
}

void Writer::putBool(bool value)
{
    *m_tree->path.back() = value;
}

void Writer::putNumber(std::int64_t value)
{
    // A reader tells unsigned from signed by the sign, so a non-negative number is stored as unsigned.
    if (value >= 0)
        *m_tree->path.back() = static_cast<std::uint64_t>(value);
    else
        *m_tree->path.back() = value;
}

void Writer::putUnsigned64(std::uint64_t value)
{
    *m_tree->path.back() = { { "u64", std::to_string(value) } };
}

void Writer::putSigned64(std::int64_t value)
{
    *m_tree->path.back() = { { "i64", std::to_string(value) } };
}

void Writer::putText(std::string_view value)
{
    *m_tree->path.back() = value;
}

void Writer::putBytes(ConstByteSpan value)
{
    *m_tree->path.back() = { { "base64", base64Encode(value) } };
}

}
