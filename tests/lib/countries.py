"""Addresses as shops of 28 countries have them, in one form for every provider, and the orders made of them.

Chosen: the EU's and the English-speaking large markets, those without provinces or postal codes (HK, AE, IE before 2015,
SG, MC), with long names (BR, PT, LK), one name only (ID), other scripts (JP, KR, CN, GR, RU would be alike), and long
postal names of states. People, streets and numbers are made up; forms are each country's usual."""

import copy

from .providers import PROVIDERS

# code: recipient (given, family), company, street 1, street 2, city, province, postal code, phone
COUNTRIES = {
    "US": (("Mary Ann", "Walker"), "", "1200 NE 45th St Apt 12B", "", "Seattle", "WA", "98105-1234", "+1 206-555-0142"),
    "CA": (("Étienne", "Tremblay"), "", "375 rue Saint-Jean", "app. 4", "Québec", "QC", "G1R 1N8", "+1 418-555-0199"),
    "GB": (("Oliver", "Featherstonehaugh"), "", "Flat 3, 27 Colmore Row", "", "Birmingham", "", "B3 2EW", "+44 121 496 0123"),
    "IE": (("Aoife", "Ní Bhriain"), "", "14 Dame Street", "", "Dublin", "Co. Dublin", "D02 X285", "+353 1 555 0123"),
    "DE": (("Karl-Friedrich", "von Hohenstein-Waldburg"), "", "Straße des 17. Juni 135", "", "Berlin", "", "10623", "+49 30 5550123"),
    "AT": (("Anna", "Gruber"), "", "Mariahilfer Straße 88a/2/14", "", "Wien", "", "1070", "+43 1 5550123"),
    "CH": (("Reto", "Zürcher"), "", "Bahnhofstrasse 12", "Postfach", "Zürich", "ZH", "8001", "+41 44 555 01 23"),
    "FR": (("Marie-Thérèse", "de la Rochefoucauld-Doudeauville"), "", "7 rue Rabelais", "", "Orléans", "", "45000", "07 82 24 67 93"),
    "BE": (("Jan", "Peeters"), "", "Wetstraat 16", "", "Brussel", "", "1000", "+32 2 555 01 23"),
    "NL": (("Sanne", "van den Berg"), "", "Keizersgracht 241-III", "", "Amsterdam", "", "1016 EA", "+31 20 555 0123"),
    "LU": (("Luc", "Weber"), "", "12, rue Notre-Dame", "", "Luxembourg", "", "L-2240", "+352 55 01 23"),
    "ES": (("María del Carmen", "García y Fernández de Córdoba"), "", "Calle de Alcalá 48, 3.º izq.", "", "Madrid", "Madrid", "28014",
           "+34 915 55 01 23"),
    "PT": (("Maria da Conceição", "Albuquerque de Vasconcelos"), "", "Rua Augusta 24, 2.º Esq.", "", "Lisboa", "", "1100-053",
           "+351 21 555 0123"),
    "IT": (("Giulia", "Esposito"), "", "Via Garibaldi 9", "", "Napoli", "NA", "80142", "+39 081 555 0123"),
    "PL": (("Małgorzata", "Wiśniewska"), "", "ul. Nowy Świat 15/17 m. 8", "", "Warszawa", "", "00-029", "+48 22 555 01 23"),
    "CZ": (("Jiří", "Novák"), "", "Národní 20", "", "Praha 1", "", "110 00", "+420 225 550 123"),
    "SE": (("Åsa", "Lindström"), "", "Drottninggatan 53", "lgh 1102", "Stockholm", "", "111 21", "+46 8 555 01 23"),
    "DK": (("Søren", "Kjær"), "", "Strøget 4, 2. tv.", "", "København K", "", "1160", "+45 33 55 01 23"),
    "GR": (("Ελένη", "Παπαδοπούλου"), "", "Ερμού 45", "", "Αθήνα", "", "105 63", "+30 21 0555 0123"),
    "AU": (("Jack", "Nguyen"), "", "Unit 7/118 Swanston Street", "", "Melbourne", "VIC", "3000", "+61 3 5550 0123"),
    "JP": (("太郎", "山田"), "", "銀座4丁目5-11", "", "中央区", "東京都", "104-0061", "+81 3-5550-0123"),
    "KR": (("민준", "김"), "", "세종대로 110", "", "중구", "서울특별시", "04524", "+82 2-555-0123"),
    "HK": (("Ka Ming", "Chan"), "", "Flat B, 12/F, 88 Nathan Road", "", "Tsim Sha Tsui", "", "", "+852 5550 0123"),
    "SG": (("Wei Ling", "Tan"), "", "10 Anson Road #12-03", "", "Singapore", "", "079903", "+65 6555 0123"),
    "AE": (("Fatima", "Al Maktoum"), "", "Sheikh Zayed Road, P.O. Box 1234", "", "Dubai", "Dubai", "", "+971 4 555 0123"),
    "ID": (("Suharto", ""), "", "Jl. M.H. Thamrin No. 1", "RT 05/RW 03", "Jakarta Pusat", "DKI Jakarta", "10310", "+62 21 555 0123"),
    "BR": (("João Pedro Henrique", "Albuquerque de Oliveira e Silva"), "", "Avenida Paulista, 1578", "Bela Vista", "São Paulo", "SP",
           "01310-200", "+55 11 5555-0123"),
    "MX": (("Guadalupe", "Hernández"), "", "Av. Insurgentes Sur 1602, Int. 4", "Col. Crédito Constructor", "Ciudad de México", "CDMX",
           "03940", "+52 55 5550 0123"),
}


def order(provider, code):
    """The provider's example, to that address, as a shop would write it without a thought of its rules."""
    (given, family), company, street1, street2, city, province, postal, phone = COUNTRIES[code]
    made = copy.deepcopy(PROVIDERS[provider].example)
    name = " ".join(filter(None, (given, family)))
    if provider.startswith("kakaclo"):
        made["orderAddresses"] = {"country": code, "city": city, "phone": phone, "recipient": name, "street1": street1,
                                  "street2": street2, "province": province, "zip": postal}
    elif provider == "s2":
        made["shippingAddress"] = {"name": name, "company": company, "address1": street1, "address2": street2, "city": city,
                                   "state": province, "postalCode": postal, "countryId": code, "phone": phone, "email": ""}
    elif provider == "vu":
        made["order"]["ship_to"] = {
            "account_number": "SHPTO123", "address_1": street1, "address_2": street2, "city": city, "company_name": company,
            "country": code, "first_name": given, "last_name": family, "phone": phone, "postal_code": postal, "state_region": province}
    return made


KINDS = ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom", "s2", "vu"]


def table(faults):
    """The Markdown table of docs/providers.md. `faults(provider, order)` gives [(path, rule), …]."""
    rows = ["| | " + " | ".join(f"`{k}`" for k in KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for code in COUNTRIES:
        cells = []
        for kind in KINDS:
            found = faults(kind, order(kind, code))
            cells.append("; ".join(f"`{path.split('.')[-1]}` {'empty' if 'empty' in rule else rule.removeprefix('must be ')}"
                                   for path, rule in found) or "as it is")
        rows.append(f"| {code} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"
