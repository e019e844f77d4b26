"""What the tests know of each provider, written down from its document and not from dray's code:
the path, an order, where its key is, and what the provider answers when it has created it."""

import base64
import copy
import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Callable

KAKACLO_ADDRESS = {
    "country": "US", "city": "Orlafasns", "phone": "07 82 24 67 93", "recipient": "Lffsollia Odfsdlena",
    "street1": " 7 rue  Rabelais", "province": " de Lofasfasire", "zip": "vsvs00v30"}

V2 = {
    "orderAddresses": KAKACLO_ADDRESS, "remark": "best order",
    "orderItemsList": [{"sku": "AMB01682_W_M_AU", "quantity": 1}],
    "salePlatform": "KA", "customOrderId": "KA10001", "channelType": "Standard"}

V1 = {
    "orderAddresses": {**KAKACLO_ADDRESS, "country": "FR"}, "remark": "I don't want this order",
    "orderItemsList": [{"sku": "FWXW00290_WHT_M", "quantity": 1}],
    "CustomOrderNumber": "111", "SalePlatform": "KA"}

CUSTOM = {
    "productName": "Bule Skirt", "mainImageUrl": "https://img.kakaclo.com/image/FSZW11087/skirt.jpg",
    "customOrderId": "KA10001", "channelType": "Standard",
    "orderAddresses": KAKACLO_ADDRESS,
    "orderItemsList": [{
        "customSku": "FSZW11087_P_FREESIZE_NUB", "quantity": 100,
        "importImage": ["https://img.kakaclo.com/image/FSZW11087/reference.jpg"],
        "remark": "With the back removed", "color": "Pink", "size": "XL"}]}

S2_ADDRESS = {
    "name": "test", "company": "test company", "address1": "test address", "address2": "test address2",
    "city": "test city", "state": "test", "postalCode": "123456", "countryId": "CN", "phone": "123456", "email": ""}

S2 = {
    "accountId": "1ac48942-405a-4841-a7d8-708f50dbe888", "channelOrderId": "test_order_id2",
    "channelOrderIdAlt": "test_order_ref_id1", "channelOrderIdAlt2": "", "channelShippingMethod": "Standard",
    "shippingAddress": S2_ADDRESS, "billingAddress": {**S2_ADDRESS, "name": "test2", "countryId": "AM"},
    "meta": {}, "channelOrderDate": "2024-04-24T06:00:33.889Z", "currencyId": "AED",
    "items": [{"channelOrderItemId": "0", "productId": "3775cc37-30e7-4579-a58e-c9adda6fa888", "quantity": 2,
               "unitPrice": 9.99, "meta": {}}],
    "attachments": [{"fileName": "PFPWig.jpg", "path": "e4affb47/2024-04-24/order/PFPWig.jpg"}]}

VU_ADDRESS = {
    "account_number": "SHPTO123", "address_1": "123 Main St", "address_2": "", "city": "Ridgewood",
    "company_name": "VU Custom", "country": "US", "first_name": "John", "last_name": "Smith", "phone": "2011231234",
    "postal_code": "07450", "state_region": "NJ"}

VU = {"order": {
    "currency": "USD", "custom_attributes": {}, "note": "Sample note.", "order_date": "2022-10-31T01:54:56.271Z",
    "order_lines": [{
        "custom_attributes": {}, "customer_requested_date": "2023-05-23", "factory_code": "factory123",
        "line_reference": "59861396", "price": 70, "product_description": "My Widget", "quantity": 1,
        "recipe_token": "1609c0e8", "sku": "SKU123", "tags": ["tag1", "tag2"], "upc": "UPC123"}],
    "order_number": "ord-12345", "purchase_order_number": "po-12345", "sales_order_number": "so-12345",
    "ship_method_carrier": "UPS", "ship_method_code": "XY12", "ship_method_description": "UPS Ground Residential",
    "sales_channel": "b2b", "b2b": {}, "ship_to": VU_ADDRESS, "sold_to": {**VU_ADDRESS, "account_number": "SLDTO123"},
    "tags": ["tag1", "tag2"]}}

GENERIC = {"reference": "G-1", "lines": [{"sku": "A", "count": 2}]}

BIG_ID = 1853726451928473601  # over 2^53: a double would make it …600


def kakaclo_answer(order, order_id):
    return b'{"code": 10000, "message": "success", "data": %d}' % order_id


def s2_answer(order, order_id):
    # Bytes that a careless reader would change: 1500.0, an escape, spaces.
    return (b'{"id": "%s",  "channelOrderId": %s, "status": "UNFULFILLED", "packageLengthMm": 1500.0,'
            b' "unitPrice": 9.990, "name": "\\u542c\xe9\x9b\xa8", "big": 12345678901234567890}'
            % (str(order_id).encode(), json.dumps(order["channelOrderId"]).encode()))


def vu_answer(order, order_id):
    inner = (b'{"id": %d, "order_number": %s,  "price": 70.0, "status": "new_order"}'
             % (order_id, json.dumps(order["order"]["order_number"]).encode()))
    return b'{"order": ' + inner + b"}"


def generic_answer(order, order_id):
    return b'{"result": {"ok": true, "id": %d}}' % order_id


@dataclass
class Provider:
    name: str
    path: str
    example: dict
    key_at: tuple            # where the order's own key stands
    answer_of: Callable      # order object, order id → the bytes of a successful answer
    account: dict            # settings beside provider and base_url
    authorization: str       # the header that must arrive
    example_id: object       # what the provider calls the example
    gives_order: bool = False
    count = itertools.count(1)

    def order(self, key=None, **changes):
        order = copy.deepcopy(self.example)
        place = order
        for name in self.key_at[:-1]:
            place = place[name]
        if key is not None:
            place[self.key_at[-1]] = key
        place.update(changes)
        return order

    def key_of(self, order):
        for name in self.key_at:
            order = order[name]
        return order

    def id_for(self, key):
        """Each order key's own, and always the same."""
        if key == self.key_of(self.example):
            return self.example_id
        own = int.from_bytes(hashlib.blake2s(str(key).encode(), digest_size=6).digest(), "big")
        return f"{self.example_id[:-12]}{own:012x}" if isinstance(self.example_id, str) else self.example_id + own

    def id_of(self, order):
        """By its key; an order without one has a new one each time."""
        try:
            return self.id_for(self.key_of(order))
        except (KeyError, TypeError, IndexError):
            return self.id_for(f"none-{next(self.count)}")

    def answer(self, order, order_id=None):
        """The bytes of a successful answer."""
        return self.answer_of(order, self.id_of(order) if order_id is None else order_id)

    def settings(self, base_url, **more):
        return {"provider": self.name, "base_url": base_url, **self.account, **more}


TOKEN = "tok-5f2c9f0e77aa41d1"
BASIC = "Basic " + base64.b64encode(b"api-key-9d21:api-secret-77ab").decode()

PROVIDERS = {p.name: p for p in [
    Provider("kakaclo-v2", "/openapi/v2/order/orders", V2, ("customOrderId",), kakaclo_answer,
             {"token": TOKEN, "rate": "0"}, f"Bearer {TOKEN}", BIG_ID),
    Provider("kakaclo-v1", "/openapi/v1/order/order", V1, ("CustomOrderNumber",), kakaclo_answer,
             {"token": TOKEN, "rate": "0"}, f"Bearer {TOKEN}", BIG_ID),
    Provider("kakaclo-custom", "/openapi/v1/product/custom/order", CUSTOM, ("customOrderId",), kakaclo_answer,
             {"token": TOKEN, "rate": "0"}, f"Bearer {TOKEN}", BIG_ID),
    Provider("s2", "/order", S2, ("channelOrderId",), s2_answer,
             {"token": TOKEN, "organization": "95d73baf-76ba-4bea-86ac-1534c5e5d4aa"}, f"Bearer {TOKEN}",
             "ae52b0ab-8f0c-4b11-9c13-c5c221228888", gives_order=True),
    Provider("vu", "/api/v1/orders", VU, ("order", "order_number"), vu_answer,
             {"key": "api-key-9d21", "secret": "api-secret-77ab"}, BASIC, 12345, gives_order=True),
    Provider("http-json", "/v3/create", GENERIC, ("reference",), generic_answer,
             {"token": TOKEN, "create_path": "/v3/create", "auth": "bearer", "key_pointer": "/reference",
              "success_pointer": "/result/ok", "success_value": "true", "id_pointer": "/result/id"},
             f"Bearer {TOKEN}", 77),
]}

# -- the documents' tables: path, type, maximum length, "!" where required -------------------------------
# "nonempty" stands where the document's "required" cannot be met by an empty text.

KAKACLO_V_ADDRESS = """
orderAddresses.country    string 32 !
orderAddresses.phone      string 64 !
orderAddresses.street1    string 64
orderAddresses.street2    string 64
orderAddresses.city       string 64
orderAddresses.recipient  string 32 !
orderAddresses.province   string 32 !
orderAddresses.zip        string 32
orderAddresses.ioss       string 32
orderAddresses.vat        string 32
"""

FIELDS = {
    "kakaclo-v2": """
orderAddresses                    object !
orderItemsList                    array  !
orderItemsList[0].sku             string 64 !
orderItemsList[0].quantity        integer !
orderItemsList[0].channelCode     string 32
orderItemsList[0].warehouseCode   string 32
remark                            string
salePlatform                      string
customOrderId                     string
channelType                       string
channelCode                       string
""" + KAKACLO_V_ADDRESS,
    "kakaclo-v1": """
orderAddresses                    object !
orderItemsList                    array  !
orderItemsList[0].sku             string 64 !
orderItemsList[0].quantity        integer !
remark                            string
CustomOrderNumber                 string
SalePlatform                      string
""" + KAKACLO_V_ADDRESS,
    "kakaclo-custom": """
productName                       string 200 !
mainImageUrl                      string 200 !
customOrderId                     string 40
channelType                       string 20
orderAddresses                    object !
orderAddresses.country            string 50 !
orderAddresses.city               string 100 !
orderAddresses.phone              any !
orderAddresses.recipient          string 100 !
orderAddresses.street1            string 100 !
orderAddresses.street2            string 100
orderAddresses.province           string 50 !
orderAddresses.zip                string 50 !
orderItemsList                    array !
orderItemsList[0].customSku       string 32
orderItemsList[0].quantity        integer !
orderItemsList[0].importImage     array !
orderItemsList[0].remark          string 100
orderItemsList[0].color           string 50 !
orderItemsList[0].size            string 50 !
orderItemsList[0].print           string 100
orderItemsList[0].material        string 100
orderItemsList[0].printUniQueCode string 100
orderItemsList[0].customerBarcode string 100
orderItemsList[0].uniqueCodeType  string 100
""",
    "s2": """
accountId                         string !
channelOrderId                    string !
channelOrderIdAlt                 string
channelOrderIdAlt2                string
channelShippingMethod             string !
shippingAddress                   object !
billingAddress                    object
channelOrderDate                  string !
currencyId                        string !
items                             array !
meta                              any !
attachments                       array !
items[0].channelOrderItemId       string !
items[0].productId                string !
items[0].quantity                 integer !
items[0].unitPrice                number !
items[0].meta                     any !
""" + "".join(f"{kind}.{name} string !\n" for kind in ("shippingAddress", "billingAddress") for name in S2_ADDRESS),
    "vu": """
order                             object !
order.currency                    string !
order.custom_attributes           object
order.note                        string
order.order_date                  string !
order.order_number                string !
order.purchase_order_number       string
order.ship_method_carrier         string !
order.ship_method_code            string !
order.ship_method_description     string !
order.sales_channel               string !
order.tags                        array
order.order_lines                 array !
order.ship_to                     object !
order.sold_to                     object !
order.b2b                         object !
order.order_lines[0].custom_attributes        object
order.order_lines[0].customer_requested_date  string
order.order_lines[0].factory_code             string
order.order_lines[0].line_reference           string
order.order_lines[0].price                    number !
order.order_lines[0].product_description      string !
order.order_lines[0].quantity                 integer !
order.order_lines[0].recipe_token             string !
order.order_lines[0].sku                      string !
order.order_lines[0].tags                     array
order.order_lines[0].upc                      string
""" + "".join(f"order.{kind}.{name} string{'' if name in ('address_2', 'company_name', 'phone') else ' !'}\n"
              for kind in ("ship_to", "sold_to") for name in VU_ADDRESS),
}


@dataclass
class Field:
    path: str
    type: str
    max: int | None
    required: bool

    @property
    def steps(self):
        steps = []
        for part in self.path.split("."):
            name, _, index = part.partition("[")
            steps.append(name)
            if index:
                steps.append(int(index[:-1]))
        return steps

    def change(self, order, value):
        """Sets the field in `order`; with `...` takes it away."""
        *way, last = self.steps
        for step in way:
            order = order[step]
        if value is ...:
            order.pop(last, None)
        else:
            order[last] = value


def fields(name):
    """The rows of a provider's document."""
    rows = []
    for line in filter(None, FIELDS[name].splitlines()):
        path, kind, *rest = line.split()
        rows.append(Field(path, kind, next((int(r) for r in rest if r.isdigit()), None), "!" in rest))
    return rows


WRONG = {  # values of another type
    "string": [5, True, [], {}],
    "integer": ["x", 1.5, True, [], {}],
    "number": ["x", True, [], {}],
    "object": ["x", 5, True],
    "array": ["x", 5, {}],
    "any": [],
}
